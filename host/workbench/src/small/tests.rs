//! Tests of small worlds: each once, the simplest first, and with other values.

use super::*;

#[test]
fn there_is_every_world_once_and_the_simplest_comes_first() {
    let worlds = all(2);
    assert!(worlds.iter().is_sorted_by_key(SmallWorld::size));
    let nothing = SmallWorld {
        stored: vec![None, None],
        regions: [RegionState::Names(0); 2],
        variant: AccountVariant::None,
        values: Values::default(),
    };
    assert_eq!(worlds[0], nothing);
    let texts: std::collections::BTreeSet<String> = worlds.iter().map(|world| format!("{world:?}")).collect();
    assert_eq!(texts.len(), worlds.len());
    // 3 ways to store each of 2, and each region says one of 4 sets, 4 that break off, or 8 others.
    let plain = worlds.iter().filter(|world| world.variant == AccountVariant::None).count();
    assert_eq!(plain, 3 * 3 * 16 * 16);
}
