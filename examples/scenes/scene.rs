//! Scenes: items of small grey pictures at random places over a background, with exact masks and boxes.
//!
//! It is the program's own and no published set, so that it is no part of the library.

use std::f64::consts::TAU;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use rand_distr::{Distribution, StandardNormal};
use zosam::data::Images;

use super::bounds::Bounds;

/// Height and width of a scene.
pub const SIDE: usize = 64;
/// Items that are tried to be placed, at most.
const ITEMS: usize = 4;
/// Height and width of an item's picture in a scene.
const SIZES: [usize; 2] = [20, 36];
/// Greys at the two ends of a background, and the standard deviation of its noise.
const BACKGROUND: [f64; 2] = [0.1, 0.6];
const NOISE: f64 = 0.04;
/// Darker pixels of an image are not its item's: specks of 1 and 2 of 255 surround many of them.
const DARK: u8 = 16;
/// Share of an item that no other item hides.
const VISIBLE: f64 = 0.5;
/// Places that are tried for an item.
const TRIES: usize = 10;

/// An item, where it can be seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    pub class: usize,
    /// Around its visible pixels.
    pub bounds: Bounds,
}

/// A picture of 64 × 64 with what is on it.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// Greys, 0 to 1 but for the noise, row by row.
    pub pixels: Vec<f32>,
    /// The class of each pixel plus 1, that of the upper item; 0 is the background.
    pub mask: Vec<u8>,
    /// From the lowest to the uppermost.
    pub items: Vec<Item>,
}

/// Scenes with one to four items of these images, each at least half visible.
///
/// Equal seeds make equal scenes, and the first ones do not depend on `count`.
pub fn scenes(images: &Images, count: usize, seed: u64) -> Vec<Scene> {
    let scene = |index: usize| {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(&(index as u64).to_le_bytes());
        made(images, &mut ChaCha8Rng::from_seed(key))
    };
    (0..count).map(scene).collect()
}

/// An item's pixels in a scene: places and greys.
struct Stamp {
    class: usize,
    pixels: Vec<(usize, f32)>,
}

fn made(images: &Images, random: &mut ChaCha8Rng) -> Scene {
    let mut pixels = background(random);
    let mut stamps: Vec<Stamp> = Vec::new();
    // The number of the item that is seen at a pixel.
    let mut owners = vec![None; SIDE * SIDE];
    for _ in 0..random.random_range(1..=ITEMS) {
        for _ in 0..TRIES {
            let stamp = stamp(images, random);
            let mut tried = owners.clone();
            for (place, _) in &stamp.pixels {
                tried[*place] = Some(stamps.len());
            }
            let is_visible = |number: usize, stamp: &Stamp| {
                let seen = tried.iter().filter(|owner| **owner == Some(number)).count();
                seen as f64 >= VISIBLE * stamp.pixels.len() as f64
            };
            let mut others = stamps.iter().enumerate();
            if others.all(|(number, other)| is_visible(number, other)) {
                owners = tried;
                stamps.push(stamp);
                break;
            }
        }
    }
    for (number, stamp) in stamps.iter().enumerate() {
        for (place, grey) in &stamp.pixels {
            if owners[*place] == Some(number) {
                pixels[*place] = *grey;
            }
        }
    }
    let class = |owner: &Option<usize>| owner.map_or(0, |number| stamps[number].class as u8 + 1);
    let item = |(number, stamp): (usize, &Stamp)| Item {
        class: stamp.class,
        bounds: bounds(&owners, number),
    };
    Scene {
        pixels,
        mask: owners.iter().map(class).collect(),
        items: stamps.iter().enumerate().map(item).collect(),
    }
}

/// A slope between two greys in a random direction, and noise.
fn background(random: &mut ChaCha8Rng) -> Vec<f32> {
    let mut grey = || random.random_range(BACKGROUND[0]..BACKGROUND[1]);
    let [from, to] = [grey(), grey()];
    let angle = random.random_range(0.0..TAU);
    let centred = |at: usize| (at as f64 + 0.5) / SIDE as f64 - 0.5;
    let pixel = |place: usize| {
        let along = centred(place % SIDE) * angle.cos() + centred(place / SIDE) * angle.sin();
        let noise: f64 = StandardNormal.sample(random);
        ((from + to) / 2.0 + (to - from) * along + NOISE * noise) as f32
    };
    (0..SIDE * SIDE).map(pixel).collect()
}

/// A random image in a random size at a random place, all of it within the scene.
///
/// What is dark in an image is no part of its item. A pixel is the item's where bilinear interpolation finds that at least half of it is.
fn stamp(images: &Images, random: &mut ChaCha8Rng) -> Stamp {
    let index = random.random_range(0..images.len());
    let side = random.random_range(SIZES[0]..=SIZES[1]);
    let [left, top] = [0, 1].map(|_| random.random_range(0..=SIDE - side));
    let [_, height, width] = images.shape();
    let source = images.pixels(index);
    let mut pixels = Vec::new();
    for y in 0..side {
        for x in 0..side {
            let (rows, columns) = (neighbours(y, side, height), neighbours(x, side, width));
            let (mut covered, mut grey) = (0.0, 0.0);
            for (row, by_row) in rows {
                for (column, by_column) in columns {
                    let value = source[row * width + column];
                    let weight = by_row * by_column;
                    if value >= DARK {
                        covered += weight;
                        grey += weight * f64::from(value) / 255.0;
                    }
                }
            }
            if covered >= 0.5 {
                let place = (top + y) * SIDE + left + x;
                pixels.push((place, (grey / covered) as f32));
            }
        }
    }
    Stamp {
        class: images.label(index),
        pixels,
    }
}

/// The two positions of `len` around position `at` of `side`, with their weights.
fn neighbours(at: usize, side: usize, len: usize) -> [(usize, f64); 2] {
    let place = (at as f64 + 0.5) * len as f64 / side as f64 - 0.5;
    let place = place.clamp(0.0, len as f64 - 1.0);
    let (first, share) = (place.floor(), place.fract());
    let first = first as usize;
    [(first, 1.0 - share), ((first + 1).min(len - 1), share)]
}

/// The rectangle around the pixels of an item.
fn bounds(owners: &[Option<usize>], number: usize) -> Bounds {
    let places = || (0..owners.len()).filter(|place| owners[*place] == Some(number));
    let low = |axis: fn(usize) -> usize| places().map(axis).min().unwrap_or(0) as f64;
    let high = |axis: fn(usize) -> usize| places().map(|at| axis(at) + 1).max().unwrap_or(0) as f64;
    let x = |at| at % SIDE;
    let y = |at| at / SIDE;
    Bounds {
        left: low(x),
        top: low(y),
        right: high(x),
        bottom: high(y),
    }
}
