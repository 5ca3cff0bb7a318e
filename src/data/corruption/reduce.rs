//! Resizing with a box filter, to the bit as PIL's.

/// A plane of bytes `[height, width]` in another size: across first, then down, each rounded to bytes.
pub(super) fn box_resized(
    plane: &[u8],
    [height, width]: [usize; 2],
    [new_height, new_width]: [usize; 2],
) -> Vec<u8> {
    let columns = sources(width, new_width);
    let rows = sources(height, new_height);
    let across = (0..height).flat_map(|row| {
        let line = &plane[row * width..][..width];
        columns
            .iter()
            .map(|source| source.mean(|column| line[column]))
    });
    let across: Vec<u8> = across.collect();
    let down = rows.iter().flat_map(|source| {
        let across = &across;
        (0..new_width).map(|column| source.mean(|row| across[row * new_width + column]))
    });
    down.collect()
}

/// The pixels that make one of another size, with one weight in fixed point.
struct Source {
    first: usize,
    count: usize,
    weight: u32,
}

/// Bits behind the point; PIL's.
const PRECISION: u32 = 22;

impl Source {
    fn mean(&self, pixel: impl Fn(usize) -> u8) -> u8 {
        let pixels = self.first..self.first + self.count;
        let sum: u32 = pixels
            .map(|place| self.weight * u32::from(pixel(place)))
            .sum();
        ((sum + (1 << (PRECISION - 1))) >> PRECISION).min(255) as u8
    }
}

fn sources(old: usize, new: usize) -> Vec<Source> {
    let scale = old as f64 / new as f64;
    let reach = scale.max(1.0) / 2.0;
    let source = |place: usize| {
        let center = (place as f64 + 0.5) * scale;
        let first = (center - reach + 0.5).max(0.0) as usize;
        let end = ((center + reach + 0.5) as usize).min(old);
        // Among the candidates those whose middle is within the box.
        let inside = |pixel: &usize| {
            let distance = (*pixel as f64 - center + 0.5) / scale.max(1.0);
            -0.5 < distance && distance <= 0.5
        };
        let places: Vec<usize> = (first..end).filter(inside).collect();
        let count = places.len().max(1);
        Source {
            first: places.first().copied().unwrap_or(first.min(old - 1)),
            count,
            weight: (0.5 + f64::from(1 << PRECISION) / count as f64) as u32,
        }
    };
    (0..new).map(source).collect()
}
