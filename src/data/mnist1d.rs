//! MNIST-1D: sequences of 40 numbers that stand for digits, made by a program.
//!
//! Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024 (arXiv 2011.14439). Templates, order of
//! the transforms and their sizes are those of the authors' package, 0.0.2. What is drawn is ours.

use rand::RngExt;
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::random::{Generator, Purpose, generator, order, uniform};
use crate::error::{Error, Result};

/// Numbers of a sequence.
const LENGTH: usize = 40;
/// Numbers of a sequence before the last resampling: a template and the largest padding.
const LONG: usize = TEMPLATE + PADDING[1];
const TEMPLATE: usize = 12;
const CLASSES: usize = 10;
/// Zeros behind a template, the last number included.
const PADDING: [usize; 2] = [36, 60];
/// Range of a factor around 1.
const SCALE: f64 = 0.4;
/// Shifts are below it.
const SHIFTS: usize = 48;
/// Standard deviations of the smoothed noise around the template, before it is smoothed, and of the noise on everything.
const CORRELATED: f64 = 0.25;
const INDEPENDENT: f64 = 0.02;
/// Range of the slope.
const SHEAR: f64 = 0.75;
/// Share of the sequences that are for training.
const TRAIN: f64 = 0.8;
/// Keeps the template apart from the padding, where noise is added: its first and its last number are zero.
const EPSILON: f64 = 1e-8;

/// The shape of each digit.
const TEMPLATES: [[f64; TEMPLATE]; CLASSES] = [
    [5.0, 6.0, 6.5, 6.75, 7.0, 7.0, 7.0, 7.0, 6.75, 6.5, 6.0, 5.0],
    [5.0, 3.0, 3.0, 3.4, 3.8, 4.2, 4.6, 5.0, 5.4, 5.8, 5.0, 5.0],
    [5.0, 6.0, 6.5, 6.5, 6.0, 5.25, 4.75, 4.0, 3.5, 3.5, 4.0, 5.0],
    [5.0, 6.0, 6.5, 6.5, 6.0, 5.0, 5.0, 6.0, 6.5, 6.5, 6.0, 5.0],
    [5.0, 4.4, 3.8, 3.2, 2.6, 2.6, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0],
    [5.0, 3.0, 3.0, 3.0, 3.0, 5.0, 6.0, 6.5, 6.5, 6.0, 4.5, 5.0],
    [5.0, 4.0, 3.5, 3.25, 3.0, 3.0, 3.0, 3.0, 3.25, 3.5, 4.0, 5.0],
    [5.0, 7.0, 7.0, 6.6, 6.2, 5.8, 5.4, 5.0, 4.6, 4.2, 5.0, 5.0],
    [5.0, 4.0, 3.5, 3.5, 4.0, 5.0, 5.0, 4.0, 3.5, 3.5, 4.0, 5.0],
    [5.0, 4.0, 3.5, 3.5, 4.0, 5.0, 5.0, 5.0, 5.0, 4.7, 4.3, 5.0],
];

/// A sequence of [`mnist1d`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sequence {
    /// 40 numbers, of mean 0 and standard deviation 1 over the whole set.
    pub values: Vec<f32>,
    /// Class, from 0 to 9.
    pub label: usize,
}

/// What is random in a sequence of MNIST-1D.
///
/// In this order: padding, resampling to 72 numbers, scaling, a cyclic shift, smoothed noise (a Gaussian filter of width 2) around
/// the template, noise everywhere, a slope, resampling to 40 numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Mnist1dDraw {
    /// Zeros behind the template, from 36 to 60.
    pub padding: usize,
    /// The template is scaled by `1 + 0.4 (scale − ½)`; in \[0, 1).
    pub scale: f64,
    /// Positions that everything moves to the right, from 0 to 47.
    pub shift: usize,
    /// Standard normal numbers of the smoothed noise, 72 of them.
    pub correlated: Vec<f64>,
    /// Standard normal numbers of the other noise, 72 of them.
    pub independent: Vec<f64>,
    /// A line from `0.75 (shear − ½) / 2` to its opposite is added; in \[0, 1).
    pub shear: f64,
}

impl Mnist1dDraw {
    fn draw(generator: &mut Generator) -> Self {
        let mut normal = |_| StandardNormal.sample(generator);
        let [correlated, independent] = [0, 1].map(|_| (0..LONG).map(&mut normal).collect());
        Self {
            padding: generator.random_range(PADDING[0]..=PADDING[1]),
            scale: uniform(generator, 0.0, 1.0),
            shift: generator.random_range(0..SHIFTS),
            correlated,
            independent,
            shear: uniform(generator, 0.0, 1.0),
        }
    }

    /// The sequence of a digit, 40 numbers, not normalised yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if the digit or a field is out of its range.
    pub fn apply(&self, digit: usize) -> Result<Vec<f64>> {
        self.validate(digit)?;
        let mut padded = template(digit).map(|value| value + EPSILON).to_vec();
        padded.resize(TEMPLATE + self.padding, 0.0);
        let mut long = resampled(&padded, LONG);
        let scale = 1.0 + SCALE * (self.scale - 0.5);
        long.iter_mut().for_each(|value| *value *= scale);
        long.rotate_right(self.shift);
        let around = smoothed(&self.correlated);
        let slope = SHEAR * (self.shear - 0.5);
        let line = evenly(-0.5, 0.5, LONG);
        for (position, value) in long.iter_mut().enumerate() {
            if *value == 0.0 {
                *value = around[position];
            }
            *value += INDEPENDENT * self.independent[position];
            *value -= slope * line[position];
        }
        Ok(resampled(&long, LENGTH))
    }

    fn validate(&self, digit: usize) -> Result<()> {
        let invalid = |field, value: String, valid| {
            Err(Error::Config {
                field,
                value,
                valid,
            })
        };
        let unit = 0.0..1.0;
        match self {
            _ if digit >= CLASSES => invalid("digit", digit.to_string(), "from 0 to 9"),
            _ if !(PADDING[0]..=PADDING[1]).contains(&self.padding) => {
                invalid("padding", self.padding.to_string(), "from 36 to 60")
            }
            _ if self.shift >= SHIFTS => invalid("shift", self.shift.to_string(), "from 0 to 47"),
            _ if self.correlated.len() != LONG || self.independent.len() != LONG => {
                let lengths = format!("{} and {}", self.correlated.len(), self.independent.len());
                invalid("noise", lengths, "72 numbers of either kind")
            }
            _ if !unit.contains(&self.scale) || !unit.contains(&self.shear) => {
                let values = format!("{} and {}", self.scale, self.shear);
                invalid("scale and shear", values, "at least 0 and less than 1")
            }
            _ => Ok(()),
        }
    }
}

/// MNIST-1D: sequences for training, four fifths of them, and for testing.
///
/// Ten classes of equal size, in a random order; class sizes of the two parts are therefore equal on average only. The published set is of 5000
/// sequences. Equal seeds make equal sets; ours is not NumPy's generator, so it is not the published set number by number, but one
/// of the same distribution.
///
/// ```
/// use burn::data::dataset::InMemDataset;
/// use zosam::data::mnist1d;
/// let [train, test] = mnist1d(5000, 42)?;
/// assert_eq!((train.len(), test.len()), (4000, 1000));
/// assert_eq!(train[0].values.len(), 40);
/// let train = InMemDataset::new(train); // for burn's data loaders
/// # Ok::<(), zosam::Error>(())
/// ```
///
/// Greydanus and Kobak, "Scaling Down Deep Learning with MNIST-1D", ICML 2024 (arXiv 2011.14439).
///
/// # Errors
///
/// [`Error::Config`] if `samples` is not a multiple of 10, or 0.
pub fn mnist1d(samples: usize, seed: u64) -> Result<[Vec<Sequence>; 2]> {
    if samples == 0 || !samples.is_multiple_of(CLASSES) {
        return Err(Error::Config {
            field: "samples",
            value: samples.to_string(),
            valid: "a multiple of 10, and not 0",
        });
    }
    let made = (0..samples).map(|index| {
        let draw = Mnist1dDraw::draw(&mut generator(seed, 0, Purpose::Sequence, index, 0));
        draw.apply(index % CLASSES)
    });
    let made = made.collect::<Result<Vec<_>>>()?;
    let [mean, deviation] = moments(made.iter().flatten().copied());
    let sequence = |index: usize| Sequence {
        values: made[index]
            .iter()
            .map(|value| ((value - mean) / deviation) as f32)
            .collect(),
        label: index % CLASSES,
    };
    let order = order(seed, 0, samples);
    let (train, test) = order.split_at((TRAIN * samples as f64) as usize);
    let part = |indices: &[usize]| indices.iter().copied().map(sequence).collect();
    Ok([part(train), part(test)])
}

/// A digit's template: of mean 0 and standard deviation 1, moved so that it begins at 0, and divided by 6.
fn template(digit: usize) -> [f64; TEMPLATE] {
    let template = TEMPLATES[digit];
    let [_, deviation] = moments(template.into_iter());
    template.map(|value| (value - template[0]) / deviation / 6.0)
}

/// Mean and standard deviation, of a whole population.
fn moments(values: impl Iterator<Item = f64> + Clone) -> [f64; 2] {
    let count = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let variance = values.map(|value| (value - mean).powi(2)).sum::<f64>() / count;
    [mean, variance.sqrt()]
}

/// `count` numbers from `from` to `to` at equal distances, computed as NumPy does.
fn evenly(from: f64, to: f64, count: usize) -> Vec<f64> {
    let step = (to - from) / (count - 1) as f64;
    let numbers = (0..count - 1).map(|index| index as f64 * step + from);
    numbers.chain([to]).collect()
}

/// As many numbers at equal distances along the line through others.
///
/// In NumPy's order of operations, because what is zero to the bit is what the noise around the template goes to.
fn resampled(values: &[f64], count: usize) -> Vec<f64> {
    let (places, last) = (evenly(0.0, 1.0, values.len()), values.len() - 1);
    let at = |place: f64| {
        let left = places.partition_point(|other| *other <= place) - 1;
        if left == last || places[left] == place {
            return values[left];
        }
        let slope = (values[left + 1] - values[left]) / (places[left + 1] - places[left]);
        slope * (place - places[left]) + values[left]
    };
    evenly(0.0, 1.0, count).into_iter().map(at).collect()
}

/// Noise of standard deviation [`CORRELATED`] under a Gaussian filter of width 2, cut at four widths, mirrored at the ends.
fn smoothed(noise: &[f64]) -> Vec<f64> {
    const RADIUS: isize = 8;
    let weights = (-RADIUS..=RADIUS).map(|x| (-0.5 * (x as f64 / 2.0).powi(2)).exp());
    let weights: Vec<f64> = weights.collect();
    let total: f64 = weights.iter().sum();
    let len = noise.len() as isize;
    let mirrored = |at: isize| match at {
        at if at < 0 => noise[(-1 - at) as usize],
        at if at >= len => noise[(2 * len - 1 - at) as usize],
        at => noise[at as usize],
    };
    let around = |at: isize| {
        let terms = (-RADIUS..=RADIUS).zip(&weights);
        let sum: f64 = terms.map(|(x, weight)| weight * mirrored(at + x)).sum();
        CORRELATED * sum / total
    };
    (0..len).map(around).collect()
}
