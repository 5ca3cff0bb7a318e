//! Splitting a whole number of places.

/// Splits `total` places in proportion to `shares`, none beyond its `room`; the counts add up
/// exactly.
///
/// What a full layer cannot take goes to the others; fractions go to the largest remainders, ties
/// to the earlier layer. Where no layer with room has a share, room itself is the share.
///
/// # Panics
///
/// If there is less room than places, which callers have to rule out.
pub(super) fn apportion(shares: &[f64], room: &[usize], total: usize) -> Vec<usize> {
    assert!(total <= room.iter().sum(), "more places than room");
    let mut counts = vec![0; room.len()];
    let mut open: Vec<usize> = (0..room.len()).filter(|i| room[*i] > 0).collect();
    let mut rest = total;
    while rest > 0 {
        let sum: f64 = open.iter().map(|i| shares[*i]).sum();
        let by_share = sum > 0.0 && sum.is_finite();
        let share = |i: usize| if by_share { shares[i] } else { room[i] as f64 };
        let sum: f64 = open.iter().map(|i| share(*i)).sum();
        let ideal = |i: usize| rest as f64 * share(i) / sum;
        let (full, fitting): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|i| ideal(**i) >= room[**i] as f64);
        if full.is_empty() {
            let mut left = rest;
            for i in &fitting {
                counts[*i] = ideal(*i) as usize;
                left -= counts[*i];
            }
            let remainder = |i: &usize| ideal(*i) - counts[*i] as f64;
            let mut order: Vec<usize> = fitting.clone();
            order.sort_by(|a, b| remainder(b).total_cmp(&remainder(a)).then(a.cmp(b)));
            for i in order.into_iter().take(left) {
                counts[i] += 1;
            }
            break;
        }
        for i in full {
            counts[i] = room[i];
            rest -= room[i];
        }
        open = fitting;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::apportion;

    #[test]
    fn places_by_hand() {
        assert_eq!(apportion(&[1.0, 1.0, 2.0], &[9, 9, 9], 8), [2, 2, 4]);
        assert_eq!(apportion(&[1.0, 1.0, 1.0], &[9, 9, 9], 8), [3, 3, 2]);
        assert_eq!(apportion(&[9.0, 1.0, 1.0], &[3, 9, 9], 8), [3, 3, 2]);
        assert_eq!(apportion(&[1.0, 0.0, 0.0], &[2, 4, 2], 5), [2, 2, 1]);
        assert_eq!(apportion(&[f64::INFINITY, 1.0], &[4, 4], 4), [2, 2]);
        assert_eq!(apportion(&[0.0], &[4], 0), [0]);
    }
}
