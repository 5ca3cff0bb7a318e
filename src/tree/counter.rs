//! Random numbers from a counter, in tensor operations that a device fuses into one pass.
//!
//! Number `i` of a key is a function of both alone, a Feistel network of multiplications and
//! exclusive ors in the manner of Philox (Salmon, Moraes, Dror and Shaw, 2011), with words of 16
//! bits instead of 32: so nothing exceeds an i32, and every backend computes the same bits. burn's
//! own generator is one kernel too, but it starts neighbouring streams a constant apart and does not
//! mix them: over 5,000 seeds on software Vulkan its signs 20 places apart were correlated by 0.4,
//! and normal numbers 5 places apart by −0.2 (`benches/directions.rs`).

use burn::tensor::{DType, Device, FloatDType, Int, Tensor, TensorData};

use super::key::mixed;

/// Numbers of one row: as many as a word of 16 bits counts. With as many rows that is 2³² numbers,
/// 16 GiB of them; from there on they come again.
const WIDTH: usize = 1 << 16;

/// Philox uses ten. With four, correlations within a direction and over keys are plain, with five
/// small ones are left, and with six or more none was found (`benches/direction_rounds.py`).
const ROUNDS: u64 = 8;

/// Odd and below 2¹⁵, so that its product with a word fits an i32: the first bits of √2 − 1.
const MULTIPLIER: i32 = 0x6a09;

/// Independent standard normal numbers, f32, at least one of them, by the transform of Box and
/// Muller (1958). The radius takes 2¹⁶ values, of which 4.9 is the largest.
pub(super) fn normal(count: usize, key: u64, device: &Device) -> Tensor<1> {
    let [left, right] = words(count, key, device).map(|word| word.cast(FloatDType::F32));
    let step = (WIDTH as f32).recip();
    let radius = left.add_scalar(0.5).mul_scalar(step).log().mul_scalar(-2.0);
    let angle = right.mul_scalar(std::f32::consts::TAU * step);
    first(count, radius.sqrt() * angle.cos())
}

/// Independent signs ±1, f32, at least one of them.
pub(super) fn signs(count: usize, key: u64, device: &Device) -> Tensor<1> {
    let [_, word] = words(count, key, device);
    let bits = word.bitwise_and_scalar(1).cast(FloatDType::F32);
    first(count, bits.mul_scalar(2.0).sub_scalar(1.0))
}

/// Two words of 16 bits for each number, `[rows, width]`.
fn words(count: usize, key: u64, device: &Device) -> [Tensor<2, Int>; 2] {
    let width = count.min(WIDTH);
    let rows = count.div_ceil(width);
    // Sent over, because burn's `arange` on a GPU is a cumulative sum in which every number adds up
    // all before it: 2.8 s for 100,000 of them on software Vulkan.
    let counted = |numbers: usize| {
        let numbers: Vec<i32> = (0..numbers).map(|number| (number % WIDTH) as i32).collect();
        let shape = [numbers.len()];
        Tensor::<1, Int>::from_data(TensorData::new(numbers, shape), (device, DType::I32))
    };
    let mut left = counted(rows).reshape([rows, 1]);
    let mut right = counted(width).reshape([1, width]);
    for round in 0..ROUNDS {
        let key = (mixed(key, round) & 0xffff) as i32;
        let product = right.mul_scalar(MULTIPLIER);
        let high = product.clone().bitwise_right_shift_scalar(16);
        right = left.bitwise_xor(high).bitwise_xor_scalar(key);
        left = product.bitwise_and_scalar(0xffff);
    }
    [left, right]
}

fn first(count: usize, numbers: Tensor<2>) -> Tensor<1> {
    numbers.flatten::<1>(0, 1).slice(0..count)
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    /// The same words, one number at a time.
    fn word(position: usize, key: u64) -> [u32; 2] {
        let start = [(position / WIDTH) as u32, (position % WIDTH) as u32];
        (0..ROUNDS).fold(start, |[left, right], round| {
            let product = right * MULTIPLIER as u32;
            let key = mixed(key, round) as u32 & 0xffff;
            [product & 0xffff, left ^ (product >> 16) ^ key]
        })
    }

    /// Two rows, of which the last is not full: the words to the bit, normal numbers to what f32
    /// holds of an angle.
    #[test]
    fn numbers_are_those_of_the_formula() {
        let (count, key) = (WIDTH + 100, 7);
        let device = Device::flex();
        let draws = [normal, signs].map(|draw| draw(count, key, &device).into_data());
        let [normal, signs]: [Vec<f32>; 2] = draws.map(|data| data.try_to_vec().unwrap());
        assert_eq!([normal.len(), signs.len()], [count; 2]);
        for (position, (normal, sign)) in normal.into_iter().zip(signs).enumerate() {
            let [left, right] = word(position, key).map(f64::from);
            let radius = (-2.0 * ((left + 0.5) / 65536.0).ln()).sqrt();
            let expected = radius * (std::f64::consts::TAU * right / 65536.0).cos();
            assert!((f64::from(normal) - expected).abs() < 1e-5);
            assert_eq!(f64::from(sign), 2.0 * (right % 2.0) - 1.0);
        }
    }

    /// The network is one to one, so two positions never share both words.
    #[test]
    fn no_words_come_twice() {
        let mut seen: Vec<_> = (0..2 * WIDTH).map(|position| word(position, 3)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 2 * WIDTH);
    }

    /// `E[u uᵀ] = I`, which burn's generator misses by up to 0.4.
    #[test]
    fn neighbours_are_uncorrelated() {
        let (count, keys) = (40, 5_000);
        let device = Device::flex();
        for draw in [normal, signs] {
            let mut products = vec![0.0; count * count];
            for key in 0..keys {
                let numbers: Vec<f32> = draw(count, key, &device).into_data().try_to_vec().unwrap();
                for (place, product) in products.iter_mut().enumerate() {
                    let pair = numbers[place / count] * numbers[place % count];
                    *product += f64::from(pair) / keys as f64;
                }
            }
            for (place, product) in products.iter().enumerate() {
                let expected = f64::from(u8::from(place / count == place % count));
                // Five standard errors of a mean of so many products, of which √2 is a square's.
                let bound = 5.0 * 2f64.sqrt() / (keys as f64).sqrt();
                assert!((product - expected).abs() < bound, "{place}: {product}");
            }
        }
    }
}
