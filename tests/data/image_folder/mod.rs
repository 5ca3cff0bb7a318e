//! Image folders: what is listed, decoded, resized, skipped.

mod damage;
mod formats;
mod listing;
mod loader;
mod reference;

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use tempfile::TempDir;
use zosam::data::{ImageFolder, ImageFolderConfig, Sizing};

/// Pixels that no two numbers share, in waves that JPEG likes.
fn drawing(number: u32, width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        let wave = |phase: u32| {
            (((x + 3 * number) as f32 / 5.0 + phase as f32).sin() * 60.0 + 120.0 + y as f32) as u8
        };
        Rgb([wave(0), wave(number % 7), (number * 13 % 250) as u8])
    })
}

fn save(folder: &Path, name: &str, number: u32, [width, height]: [u32; 2]) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    drawing(number, width, height).save(path).unwrap();
}

/// Twelve images of 20 × 16 pixels, in three classes.
fn twelve() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..12 {
        let class = ["ant", "bee", "cat"][number as usize % 3];
        let kind = ["png", "jpg"][number as usize % 2];
        let name = format!("{class}/{number:02}.{kind}");
        save(folder.path(), &name, number, [20, 16]);
    }
    folder
}

fn square(side: usize) -> ImageFolderConfig {
    ImageFolderConfig {
        sizing: Sizing::square(side),
        ..ImageFolderConfig::default()
    }
}

fn open(folder: &Path) -> ImageFolder {
    ImageFolder::open(folder, square(8)).unwrap()
}
