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
    taken: Vec<Area>,
    /// The texts of the points that have one.
    points: Vec<(String, (i32, i32))>,
}

/// Left, upper, right and lower end.
pub type Area = (i32, i32, i32, i32);

impl Labels {
    /// Keeps labels out of an area.
    pub fn keep_free(&mut self, area: Area) {
        self.taken.push(area);
    }

    /// The upper left corner of a point's label within an area. None where another point at about the same place
    /// has the same text, or where there is no room.
    pub fn place(&mut self, text: &str, size: f64, (x, y): (i32, i32), within: Area) -> Option<(i32, i32)> {
        let (width, height) = (width(text, size), size.ceil() as i32 + 2);
        let near = |other: &(i32, i32)| (other.0 - x).abs() < 16 && (other.1 - y).abs() < 16;
        if self.points.iter().any(|(other, at)| other == text && near(at)) {
            return None;
        }
        let middle = (x - width / 2).clamp(within.0, (within.2 - width).max(within.0));
        let rows = [8, 24, 40, 56, 72].into_iter().flat_map(|away| [away, -away - height]);
        let corners = rows.flat_map(|row| [(middle, y + row), (x - width - 8, y + row)]);
        let free = |corner: &(i32, i32)| {
            let area = (corner.0, corner.1, corner.0 + width, corner.1 + height);
            let apart =
                |other: &Area| area.2 + 6 <= other.0 || other.2 + 6 <= area.0 || area.3 <= other.1 || other.3 <= area.1;
            let inside = area.0 >= within.0 && area.1 >= within.1 && area.3 <= within.3;
            inside && self.taken.iter().all(apart)
        };
        let corner = corners.into_iter().find(free)?;
        self.taken.push((corner.0, corner.1, corner.0 + width, corner.1 + height));
        self.points.push((text.to_owned(), (x, y)));
        Some(corner)
    }
}
