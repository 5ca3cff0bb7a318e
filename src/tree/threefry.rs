//! Random directions made on the device: Threefry-2x32 in tensor operations.
//!
//! Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (2011), 20 rounds, as in Random123
//! and JAX. A counter-based generator needs no state and no global seed, and consists of additions,
//! rotations and exclusive ors, which every backend has. A backend whose default integer is 64 bits
//! wide computes the same numbers: each word is masked back to 32 bits.

use burn::tensor::{Device, FloatDType, Int, Tensor};

use super::key::path_hash;
use super::{DirectionDistribution, DirectionKey};

const ROTATIONS: [[u32; 4]; 2] = [[13, 15, 26, 6], [17, 29, 16, 24]];
const PARITY: u32 = 0x1bd1_1bda;

/// So many components of a direction, of parameters with these paths.
pub(super) fn drawn<'a>(
    count: usize,
    paths: impl IntoIterator<Item = &'a str>,
    key: DirectionKey,
    distribution: DirectionDistribution,
    device: &Device,
) -> Tensor<1> {
    // Both halves of a cipher block are used, so half as many blocks as elements suffice.
    let blocks = count.div_ceil(2);
    let counter = Tensor::<1, Int>::arange(0..blocks as i64, device);
    let zeros = counter.zeros_like();
    let words = encrypt(derived_key(paths, key), [counter, zeros]);
    let pair = match distribution {
        DirectionDistribution::Gaussian | DirectionDistribution::Sphere => gaussians(words),
        DirectionDistribution::Rademacher => words.map(signs),
    };
    let both = Tensor::cat(pair.to_vec(), 0);
    match count % 2 {
        0 => both,
        _ => both.narrow(0, 0, count),
    }
}

/// The key schedule on the host: seed, step, index and paths are absorbed one after another.
fn derived_key<'a>(paths: impl IntoIterator<Item = &'a str>, key: DirectionKey) -> [u32; 2] {
    let split = |word: u64| [word as u32, (word >> 32) as u32];
    let words = [key.step, key.index].into_iter();
    words
        .chain(paths.into_iter().map(path_hash))
        .fold(split(key.seed), |state, word| encrypt(state, split(word)))
}

/// A 32-bit word, or a tensor of them.
trait Word: Clone {
    fn add(self, other: Self) -> Self;
    fn add_constant(self, constant: u32) -> Self;
    fn xor(self, other: Self) -> Self;
    fn rotate_left(self, by: u32) -> Self;
}

impl Word for u32 {
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn add_constant(self, constant: u32) -> Self {
        self.wrapping_add(constant)
    }
    fn xor(self, other: Self) -> Self {
        self ^ other
    }
    fn rotate_left(self, by: u32) -> Self {
        self.rotate_left(by)
    }
}

impl Word for Tensor<1, Int> {
    fn add(self, other: Self) -> Self {
        low_word(self + other)
    }
    fn add_constant(self, constant: u32) -> Self {
        let constant = literal(&self, constant);
        low_word(self.add_scalar(constant))
    }
    fn xor(self, other: Self) -> Self {
        self.bitwise_xor(other)
    }
    fn rotate_left(self, by: u32) -> Self {
        let high = low_word(self.clone().bitwise_left_shift_scalar(by as i32));
        // A right shift of a negative 32-bit integer drags its sign along; the mask cuts that off.
        let low = self
            .bitwise_right_shift_scalar((32 - by) as i32)
            .bitwise_and_scalar(((1u32 << by) - 1) as i32);
        high.bitwise_or(low)
    }
}

fn is_wide(tensor: &Tensor<1, Int>) -> bool {
    tensor.dtype().size() == 8
}

fn low_word(tensor: Tensor<1, Int>) -> Tensor<1, Int> {
    match is_wide(&tensor) {
        true => tensor.bitwise_and_scalar(0xffff_ffff_i64),
        false => tensor,
    }
}

fn literal(tensor: &Tensor<1, Int>, constant: u32) -> i64 {
    match is_wide(tensor) {
        true => i64::from(constant),
        false => i64::from(constant as i32),
    }
}

fn encrypt<W: Word>(key: [u32; 2], [x0, x1]: [W; 2]) -> [W; 2] {
    let schedule = [key[0], key[1], key[0] ^ key[1] ^ PARITY];
    let mut x0 = x0.add_constant(schedule[0]);
    let mut x1 = x1.add_constant(schedule[1]);
    for injection in 1..=5u32 {
        for rotation in ROTATIONS[(injection as usize + 1) % 2] {
            x0 = x0.add(x1.clone());
            x1 = x1.rotate_left(rotation).xor(x0.clone());
        }
        let word = |offset: u32| schedule[((injection + offset) % 3) as usize];
        x0 = x0.add_constant(word(0));
        x1 = x1.add_constant(word(1).wrapping_add(injection));
    }
    [x0, x1]
}

/// The upper 24 bits, and a half, as a float in (0, 1].
///
/// Exact below a half. Above it f32 has no room for the half, which is rounded to even: all ones give
/// 1, whose logarithm is 0, which Box and Muller's transform can take. (Without the half the smallest
/// would be 0, whose logarithm it cannot.)
fn uniform(word: Tensor<1, Int>) -> Tensor<1> {
    let bits = word
        .bitwise_right_shift_scalar(8)
        .bitwise_and_scalar(0x00ff_ffff);
    bits.float()
        .cast(FloatDType::F32)
        .add_scalar(0.5)
        .mul_scalar(1.0 / f64::from(1 << 24))
}

/// Box and Muller's transform: two uniforms to two independent standard normals.
fn gaussians([first, second]: [Tensor<1, Int>; 2]) -> [Tensor<1>; 2] {
    let radius = uniform(first).log().mul_scalar(-2.0).sqrt();
    let angle = uniform(second).mul_scalar(std::f64::consts::TAU);
    [radius.clone() * angle.clone().cos(), radius * angle.sin()]
}

fn signs(word: Tensor<1, Int>) -> Tensor<1> {
    let bit = word.bitwise_and_scalar(1).float().cast(FloatDType::F32);
    bit.mul_scalar(-2.0).add_scalar(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known-answer vectors of the Random123 distribution (`kat_vectors`, threefry2x32 20).
    #[test]
    fn words_match_the_published_vectors() {
        let cases = [
            ([0, 0], [0, 0], [0x6b20_0159, 0x99ba_4efe]),
            (
                [u32::MAX, u32::MAX],
                [u32::MAX, u32::MAX],
                [0x1cb9_96fc, 0xbb00_2be7],
            ),
            (
                [0x13198a2e, 0x0370_7344],
                [0x243f_6a88, 0x85a3_08d3],
                [0xc492_3a9c, 0x483d_f7a0],
            ),
        ];
        for (key, counter, expected) in cases {
            assert_eq!(encrypt(key, counter), expected);
        }
    }

    /// The ends of the range of words make finite numbers.
    #[cfg(feature = "flex")]
    #[test]
    fn extreme_words_make_finite_normals() {
        let word = |bits: u32| Tensor::<1, Int>::from_ints([bits as i32], &Device::flex());
        let unit = |bits| uniform(word(bits)).into_scalar::<f32>();
        assert_eq!(unit(0), 0.5 / (1 << 24) as f32);
        assert_eq!((unit(1 << 31), unit(u32::MAX)), (0.5, 1.0));
        for first in [0, 1 << 31, u32::MAX] {
            for second in [0, 1 << 31, u32::MAX] {
                for normal in gaussians([word(first), word(second)]) {
                    // √(2 ln 2²⁵) is the largest of all.
                    assert!(normal.into_scalar::<f32>().abs() <= 5.888);
                }
            }
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn tensors_compute_the_same_words() {
        let device = Device::flex();
        let key = [0x13198a2e, 0x0370_7344];
        let counter = Tensor::<1, Int>::arange(0..100, &device);
        let words = encrypt(key, [counter.clone(), counter.zeros_like()]);
        let words = words.map(|word| word.into_data().iter::<i64>().collect::<Vec<_>>());
        for counter in 0..100u32 {
            let [x0, x1] = encrypt(key, [counter, 0]);
            let i = counter as usize;
            assert_eq!([words[0][i] as u32, words[1][i] as u32], [x0, x1]);
        }
    }
}
