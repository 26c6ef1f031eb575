//! The console: what pages and answers to programs are made of, from the journal and the running service.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use staging_sync_runtime::journal::Journal;
use staging_sync_runtime::journal::names::TickId;
use staging_sync_runtime::tick::instant_text;

use crate::account::Detail;
use crate::fleet::Fleet;
use crate::journal::Shown;
use crate::live::Live;
use crate::policies::{InUse, Manifests, Policies};
use crate::query::Query;
use crate::simulation::{Asked, NotSimulated, PolicyLoader, Simulation, Simulator};
use crate::ticks::{TickDetail, TickNumbers, Ticks};

/// How many ticks are told at most.
pub const MOST_TICKS: usize = 500;

/// The times of which ticks can be shown: the value of `since`, what people read, and how long it is.
pub const SPANS: [(&str, &str, Duration); 4] = [
    ("6h", "6 hours", Duration::from_secs(6 * 3_600)),
    ("24h", "24 hours", Duration::from_secs(86_400)),
    ("7d", "7 days", Duration::from_secs(7 * 86_400)),
    ("30d", "30 days", Duration::from_secs(30 * 86_400)),
];

/// Where what is shown comes from.
pub struct Sources {
    /// The journal, opened by `Journal::reader`.
    pub journal: Option<Journal>,
    /// The service that runs in this process.
    pub live: Option<Arc<Live>>,
    /// The manifests of policies.
    pub manifests: Manifests,
    /// What simulated ticks are decided by.
    pub policy: PolicyLoader,
    /// What is shown, for people: a journal's place, or the service.
    pub title: String,
}

/// What is shown.
pub struct Console {
    journal: Option<Shown>,
    live: Option<Arc<Live>>,
    manifests: Manifests,
    simulator: Simulator,
    title: String,
}

impl Console {
    /// Shows what comes from these sources.
    pub fn new(sources: Sources) -> Self {
        let Sources { journal, live, manifests, policy, title } = sources;
        Self { journal: journal.map(Shown::new), live, manifests, simulator: Simulator::new(policy), title }
    }

    /// What is shown, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The operations of the running service, where there are several.
    pub fn operations(&self) -> Vec<String> {
        self.live.as_ref().map(|live| live.names()).filter(|names| names.len() > 1).unwrap_or_default()
    }

    /// The fleet after the last tick: as the journal has it, and without one as the service knows it. `operation` picks
    /// one of several.
    pub async fn fleet(&self, operation: Option<&str>) -> Fleet {
        let mut notices = Vec::new();
        let mut recorded = None;
        if let Some(shown) = &self.journal {
            match shown.fleet().await {
                Ok(found) => recorded = found,
                Err(error) => notices.push(format!("The state after the last tick can't be read: {error}")),
            }
        }
        let is_asked = |fleet: &&Arc<Fleet>| operation.is_none_or(|asked| fleet.operation.as_deref() == Some(asked));
        let (chosen, live) = match (recorded.as_ref().filter(is_asked), &self.live) {
            (Some(recorded), _) => (Some(Arc::clone(recorded)), false),
            (None, Some(live)) => {
                let first = live.names().into_iter().next();
                (operation.map(str::to_owned).or(first).and_then(|name| live.fleet(&name)), true)
            }
            (None, None) => (None, false),
        };
        let mut fleet = match chosen {
            Some(fleet) => (*fleet).clone(),
            None => Fleet::none(),
        };
        if fleet.tick.is_none() && notices.is_empty() {
            notices.push("No tick has ended yet.".into());
        }
        if live && self.journal.is_none() && fleet.tick.is_some() {
            notices
                .push("There's no journal (JOURNAL): only what this process has seen since it began is shown.".into());
        }
        if let Some(shown) = &self.journal {
            match shown.freezes().await {
                Ok(freezes) => fleet.freeze(&freezes, SystemTime::now()),
                Err(error) => notices.push(format!("It isn't known which accounts are frozen: {error}")),
            }
        }
        fleet.notices = notices;
        fleet
    }

    /// An account; none if no tick has seen it.
    pub async fn account(&self, id: &str, query: &Query) -> Option<Detail> {
        let fleet = self.fleet(query.get("operation")).await;
        let mut detail = Detail::of(fleet.account(id)?.clone());
        detail.notices.clone_from(&fleet.notices);
        let Some(shown) = &self.journal else { return Some(detail) };
        if let Ok(freezes) = shown.freezes().await {
            let of_account =
                freezes.at(SystemTime::now()).filter(|freeze| freeze.account == "*" || freeze.account == id);
            detail.freezes = of_account.cloned().collect();
        }
        let explained = query.get("tick").and_then(TickId::parse);
        detail.read(shown, &fleet, query.get("before"), explained.as_ref()).await;
        Some(detail)
    }

    /// The ticks of the time that the query names.
    pub async fn ticks(&self, query: &Query) -> Ticks {
        let until = SystemTime::now();
        let since = until.checked_sub(span(query).2).unwrap_or(SystemTime::UNIX_EPOCH);
        let (mut ticks, mut more, mut notices) = (Vec::new(), false, Vec::new());
        if let Some(shown) = &self.journal {
            match shown.ticks(since, until, MOST_TICKS).await {
                Ok((found, more_of_them, unreadable)) => {
                    ticks = found;
                    more = more_of_them;
                    notices = unreadable;
                }
                Err(error) => notices.push(format!("The records of ticks can't be read: {error}")),
            }
            if let Ok(Some(fleet)) = shown.fleet().await {
                // The last one may have left no record.
                ticks.extend(TickNumbers::of_fleet(&fleet).map(Arc::new));
            }
        }
        let operation = query.get("operation");
        ticks.extend(self.live.as_ref().map(|live| live.ticks(None)).unwrap_or_default());
        ticks.retain(|tick| operation.is_none_or(|operation| tick.operation == operation));
        let first = instant_text(since);
        ticks.retain(|tick| tick.at >= first);
        // A tick that failed as a whole is known here by another id than in the journal.
        let recorded: BTreeSet<(String, String)> =
            ticks.iter().filter(|tick| tick.recorded).map(|tick| (tick.at.clone(), tick.operation.clone())).collect();
        ticks.retain(|tick| tick.recorded || !recorded.contains(&(tick.at.clone(), tick.operation.clone())));
        ticks.sort_by(|one, other| other.tick.cmp(&one.tick));
        ticks.dedup_by(|later, earlier| later.tick == earlier.tick);
        more |= ticks.len() > MOST_TICKS;
        ticks.truncate(MOST_TICKS);
        let ticks = ticks.into_iter().map(|tick| (*tick).clone()).collect();
        Ticks { since: first, until: instant_text(until), notices, more, ticks }
    }

    /// A tick; none if it isn't known. The error says why that can't be told.
    pub async fn tick(&self, id: &str) -> Result<Option<TickDetail>, String> {
        let Some(tick) = TickId::parse(id) else { return Ok(None) };
        if let Some(shown) = &self.journal
            && let Some(found) = shown.tick(&tick).await?
        {
            return Ok(Some(found));
        }
        let live = self.live.as_ref().map(|live| live.ticks(None)).unwrap_or_default();
        let known = live.into_iter().find(|known| known.tick == id).map(|known| (*known).clone());
        if let Some(numbers) = known {
            let notice = match &self.journal {
                Some(_) => "The tick left no record: nothing changed, failed or was held.",
                None => "There's no journal (JOURNAL), so only the numbers of the tick are known.",
            };
            return Ok(Some(TickDetail::of_numbers(numbers, notice)));
        }
        let Some(shown) = &self.journal else { return Ok(None) };
        let last = shown.fleet().await?.filter(|fleet| fleet.tick.as_deref() == Some(id));
        let numbers = last.and_then(|fleet| TickNumbers::of_fleet(&fleet));
        Ok(numbers.map(|numbers| {
            TickDetail::of_numbers(numbers, "The tick left no record: nothing changed, failed or was held.")
        }))
    }

    /// The policies.
    pub async fn policies(&self) -> Policies {
        let fleet = self.fleet(None).await;
        let live = self.live.as_ref().map(|live| live.names()).unwrap_or_default();
        let mut in_use = Vec::new();
        for operation in live {
            let known = self.live.as_ref().and_then(|live| live.fleet(&operation));
            in_use.extend(known.and_then(|fleet| Some(InUse { policy: fleet.policy.clone()?, operation })));
        }
        if let (true, Some(operation), Some(policy)) = (in_use.is_empty(), fleet.operation, fleet.policy) {
            in_use.push(InUse { operation, policy });
        }
        let mut policies = self.manifests.read(self.live.as_deref(), in_use).await;
        policies.notices = fleet.notices;
        policies
    }

    /// Simulates.
    pub async fn simulate(&self, asked: Asked) -> Result<Simulation, NotSimulated> {
        self.simulator.run(asked).await
    }
}

/// The time that a query names.
pub fn span(query: &Query) -> (&'static str, &'static str, Duration) {
    let asked = SPANS.into_iter().find(|(value, ..)| query.get("since") == Some(value));
    asked.unwrap_or(SPANS[1])
}
