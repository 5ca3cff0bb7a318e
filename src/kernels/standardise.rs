//! `γ (x − μ) / √(σ² + ε) + β` in evaluation where mean and variance are the input's own: layer
//! norm and its like.

use super::simd::{Instructions, Job, Simd};

/// What a norm takes off and divides by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) epsilon: f32,
    /// Whether the mean is taken off; without, the variance is the mean square (RMS norm).
    pub(crate) centred: bool,
}

/// Each row of `gamma.len()` numbers by its own mean and variance.
pub(crate) fn rows(
    statistics: Statistics,
    gamma: &[f32],
    beta: &[f32],
    from: &[f32],
    to: &mut [f32],
) {
    Instructions::detect().run(Rows {
        statistics,
        gamma,
        beta,
        from,
        to,
    });
}

/// Each column of `gamma.len()` rows of `columns` numbers by its own mean and variance.
pub(crate) fn columns(
    statistics: Statistics,
    [gamma, beta]: [&[f32]; 2],
    columns: usize,
    from: &[f32],
    to: &mut [f32],
) {
    Instructions::detect().run(Columns {
        statistics,
        gamma,
        beta,
        columns,
        from,
        to,
    });
}

/// Groups of channels by their own mean and variance: `from` and `to` are whole groups, `gamma` and
/// `beta` those of their channels, each of `count` numbers at `pitch`.
pub(crate) fn group(
    statistics: Statistics,
    gamma: &[f32],
    beta: &[f32],
    from: &[f32],
    to: &mut [f32],
) {
    Instructions::detect().run(Group {
        statistics,
        gamma,
        beta,
        from,
        to,
    });
}

struct Rows<'a> {
    statistics: Statistics,
    gamma: &'a [f32],
    beta: &'a [f32],
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Job for Rows<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let count = self.gamma.len().max(1);
        let rows = self.from.chunks_exact(count);
        for (from, to) in rows.zip(self.to.chunks_exact_mut(count)) {
            let (mean, factor) = moments(self.statistics, from);
            let factors = self.gamma.iter().zip(self.beta);
            for ((to, from), (gamma, beta)) in to.iter_mut().zip(from).zip(factors) {
                *to = (from - mean) * factor * gamma + beta;
            }
        }
    }
}

struct Group<'a> {
    statistics: Statistics,
    gamma: &'a [f32],
    beta: &'a [f32],
    from: &'a [f32],
    to: &'a mut [f32],
}

impl Job for Group<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let (mean, factor) = moments(self.statistics, self.from);
        let each = (self.from.len() / self.gamma.len().max(1)).max(1);
        let planes = self
            .from
            .chunks_exact(each)
            .zip(self.to.chunks_exact_mut(each));
        for ((from, to), (gamma, beta)) in planes.zip(self.gamma.iter().zip(self.beta)) {
            let (scale, shift) = (factor * gamma, beta - mean * factor * gamma);
            for (to, from) in to.iter_mut().zip(from) {
                *to = from * scale + shift;
            }
        }
    }
}

/// Mean, or 0, and what to multiply by.
#[inline(always)]
pub(super) fn moments(statistics: Statistics, numbers: &[f32]) -> (f32, f32) {
    let count = numbers.len() as f32;
    let mean = match statistics.centred {
        true => sum(numbers, |x| x) / count,
        false => 0.0,
    };
    let variance = sum(numbers, |x| (x - mean) * (x - mean)) / count;
    (mean, (variance + statistics.epsilon).sqrt().recip())
}

/// Partial sums, so that a sum is made of vectors, and its rounding grows more slowly.
pub(super) const LANES: usize = 16;

#[inline(always)]
fn sum(numbers: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; LANES];
    for part in numbers.chunks(LANES) {
        for (sum, number) in sums.iter_mut().zip(part) {
            *sum += term(*number);
        }
    }
    sums.iter().sum()
}

struct Columns<'a> {
    statistics: Statistics,
    gamma: &'a [f32],
    beta: &'a [f32],
    columns: usize,
    from: &'a [f32],
    to: &'a mut [f32],
}

/// Columns that are taken at a time: all their rows stay in the first cache for the three passes.
const STRIP: usize = 16;

impl Job for Columns<'_> {
    /// Safe code throughout: only the compiler uses the instructions.
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let size = self.gamma.len() * self.columns;
        for image in 0..self.from.len().checked_div(size).unwrap_or(0) {
            let mut start = 0;
            while start < self.columns {
                let count = STRIP.min(self.columns - start);
                let at = image * size + start;
                match count {
                    // With the number as a constant, sums stay in registers.
                    STRIP => self.strip(at, STRIP),
                    _ => self.strip(at, count),
                }
                start += count;
            }
        }
    }
}

impl Columns<'_> {
    #[inline(always)]
    fn strip(&mut self, start: usize, count: usize) {
        let (rows, pitch) = (self.gamma.len(), self.columns);
        let line = |row: usize| start + row * pitch..start + row * pitch + count;
        let share = 1.0 / rows as f32;
        let mut mean = [0.0; STRIP];
        if self.statistics.centred {
            for row in 0..rows {
                for (sum, number) in mean.iter_mut().zip(&self.from[line(row)]) {
                    *sum += number;
                }
            }
            mean.iter_mut().for_each(|mean| *mean *= share);
        }
        let mut factor = [0.0; STRIP];
        for row in 0..rows {
            let numbers = self.from[line(row)].iter();
            for ((sum, number), mean) in factor.iter_mut().zip(numbers).zip(&mean) {
                *sum += (number - mean) * (number - mean);
            }
        }
        for factor in &mut factor {
            *factor = (*factor * share + self.statistics.epsilon).sqrt().recip();
        }
        for row in 0..rows {
            let (gamma, beta) = (self.gamma[row], self.beta[row]);
            let pairs = self.from[line(row)].iter().zip(mean.iter().zip(&factor));
            for (to, (number, (mean, factor))) in self.to[line(row)].iter_mut().zip(pairs) {
                *to = (number - mean) * factor * gamma + beta;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The formula in `f64`.
    fn exact(statistics: Statistics, numbers: &[f32], gamma: f32, beta: f32, x: f32) -> f64 {
        let count = numbers.len() as f64;
        let mean = match statistics.centred {
            true => numbers.iter().map(|x| f64::from(*x)).sum::<f64>() / count,
            false => 0.0,
        };
        let squares = numbers.iter().map(|x| (f64::from(*x) - mean).powi(2));
        let deviation = (squares.sum::<f64>() / count + f64::from(statistics.epsilon)).sqrt();
        (f64::from(x) - mean) / deviation * f64::from(gamma) + f64::from(beta)
    }

    /// Rows, the same transposed, and groups of one channel.
    #[test]
    fn all_are_the_formula() {
        for centred in [true, false] {
            let statistics = Statistics {
                epsilon: 1e-5,
                centred,
            };
            for [lines, count] in [[1, 1], [3, 40], [16, 7], [37, 65]] {
                let number = |i: usize| ((i * i * 7919) % 1009) as f32 / 500.0 - 0.3;
                let from: Vec<f32> = (0..lines * count).map(number).collect();
                let gamma: Vec<f32> = (0..count).map(|i| 0.5 + number(i + 7)).collect();
                let beta: Vec<f32> = (0..count).map(|i| number(i + 70)).collect();
                let mut by_row = vec![f32::NAN; from.len()];
                rows(statistics, &gamma, &beta, &from, &mut by_row);
                let at = |i: usize| (i % lines) * count + i / lines;
                let turned: Vec<f32> = (0..from.len()).map(|i| from[at(i)]).collect();
                let mut by_column = vec![f32::NAN; from.len()];
                columns(statistics, [&gamma, &beta], lines, &turned, &mut by_column);
                for (index, &x) in from.iter().enumerate() {
                    let (line, place) = (index / count, index % count);
                    let row = &from[line * count..(line + 1) * count];
                    let exact = exact(statistics, row, gamma[place], beta[place], x);
                    // Some hundred roundings of numbers around 1.
                    let near =
                        |found: f32| (f64::from(found) - exact).abs() < 1e-5 * (1.0 + exact.abs());
                    assert!(
                        near(by_row[index]),
                        "{lines} {count} {index}: {}, {exact}",
                        by_row[index]
                    );
                    assert!(
                        near(by_column[place * lines + line]),
                        "{lines} {count} {index}"
                    );
                }
                let mut grouped = vec![f32::NAN; count];
                group(
                    statistics,
                    &gamma[..1],
                    &beta[..1],
                    &from[..count],
                    &mut grouped,
                );
                for (&found, &x) in grouped.iter().zip(&from) {
                    let exact =
                        super::tests::exact(statistics, &from[..count], gamma[0], beta[0], x);
                    // A numerator of several terms around 1 each, in another order.
                    assert!((f64::from(found) - exact).abs() < 2e-5 * (1.0 + exact.abs()));
                }
            }
        }
    }
}
