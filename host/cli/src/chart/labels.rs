//! Places for labels, so that none covers another.

/// About how wide a text of this size is, in pixels.
pub fn width(text: &str, size: f64) -> i32 {
    (text.chars().count() as f64 * size * 0.56).ceil() as i32
}

/// Heights for labels below each other, each as near as possible to where it belongs: `step` apart, from `top` to `bottom`.
pub fn spread(wanted: &[i32], step: i32, top: i32, bottom: i32) -> Vec<i32> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by_key(|place| wanted.get(*place).copied());
    let mut placed = vec![top; wanted.len()];
    let mut least = top;
    for place in &order {
        if let (Some(at), Some(wanted)) = (placed.get_mut(*place), wanted.get(*place)) {
            *at = (*wanted).max(least);
            least = *at + step;
        }
    }
    let mut most = bottom;
    for place in order.iter().rev() {
        if let Some(at) = placed.get_mut(*place) {
            *at = (*at).min(most);
            most = *at - step;
        }
    }
    placed
}

/// The labels of a panel's points.
#[derive(Debug, Default)]
pub struct Labels {
    taken: Vec<(String, Area)>,
}

/// Left, upper, right and lower end.
type Area = (i32, i32, i32, i32);

impl Labels {
    /// Keeps labels out of an area.
    pub fn keep_free(&mut self, area: Area) {
        self.taken.push((String::new(), area));
    }

    /// The upper left corner of a point's label, between `left` and `right`. None where the same text is beside it
    /// already, for another point at the same place, or where there is no room.
    pub fn place(
        &mut self,
        text: &str,
        size: f64,
        (x, y): (i32, i32),
        (left, right): (i32, i32),
    ) -> Option<(i32, i32)> {
        let (width, height) = (width(text, size), size.ceil() as i32 + 2);
        let near = |area: &Area| x + 24 > area.0 && x - 24 < area.2 && y + 24 > area.1 && y - 24 < area.3;
        if self.taken.iter().any(|(other, area)| other == text && near(area)) {
            return None;
        }
        let rows = [8, -8 - height, 24, -24 - height, 40, -40 - height];
        let corners = rows.iter().flat_map(|row| {
            let middle = (x - width / 2).clamp(left, (right - width).max(left));
            [(middle, y + row), (x - width - 8, y + row)]
        });
        let free = |corner: &(i32, i32)| {
            let area = (corner.0, corner.1, corner.0 + width, corner.1 + height);
            let apart = |(_, other): &(String, Area)| {
                area.2 <= other.0 || other.2 <= area.0 || area.3 <= other.1 || other.3 <= area.1
            };
            area.0 >= left && area.2 <= right.max(left + width) && self.taken.iter().all(apart)
        };
        let corner = corners.into_iter().find(free)?;
        self.taken.push((text.to_owned(), (corner.0, corner.1, corner.0 + width, corner.1 + height)));
        Some(corner)
    }
}
