//! Crop and flip.

use zosam::data::{Augmentation, Draw, ImageSource};

use super::image_set;

const SHAPE: [usize; 3] = [3, 6, 5];

/// Pads, crops and flips in three steps, as torchvision describes it.
fn naive(pixels: &[u8], padding: usize, draw: Draw) -> Vec<u8> {
    let [channels, height, width] = SHAPE;
    let mut output = Vec::new();
    for channel in 0..channels {
        let mut padded = vec![vec![0; width + 2 * padding]; height + 2 * padding];
        for row in 0..height {
            for column in 0..width {
                padded[row + padding][column + padding] =
                    pixels[channel * height * width + row * width + column];
            }
        }
        for line in &padded[draw.top..draw.top + height] {
            let mut line = line[draw.left..draw.left + width].to_vec();
            if draw.mirrored {
                line.reverse();
            }
            output.extend(line);
        }
    }
    output
}

#[test]
fn every_crop_and_flip_matches_the_naive_version() {
    let images = image_set(2, SHAPE);
    for padding in [0, 1, 4] {
        let augmentation = Augmentation {
            padding,
            flip: true,
        };
        for case in 0..2 * (2 * padding + 1).pow(2) {
            let side = 2 * padding + 1;
            let draw = Draw {
                top: case / 2 / side,
                left: case / 2 % side,
                mirrored: case % 2 == 1,
            };
            let mut output = Vec::new();
            augmentation.apply(&images.picture(1).unwrap(), draw, &mut output);
            assert_eq!(output, naive(images.pixels(1), padding, draw), "{draw:?}");
        }
    }
}

#[test]
fn no_augmentation_is_the_identity() {
    let images = image_set(3, SHAPE);
    let mut output = Vec::new();
    for index in 0..3 {
        let draw = Augmentation::none().draw(9, 1, index);
        Augmentation::none().apply(&images.picture(index).unwrap(), draw, &mut output);
    }
    assert_eq!(
        output,
        [images.pixels(0), images.pixels(1), images.pixels(2)].concat()
    );
}

#[test]
fn an_offset_out_of_range_gives_a_whole_image() {
    let images = image_set(1, SHAPE);
    for offset in [9, 1000, usize::MAX] {
        let draw = Draw {
            top: offset,
            left: offset,
            mirrored: true,
        };
        let mut output = Vec::new();
        Augmentation::default().apply(&images.picture(0).unwrap(), draw, &mut output);
        assert_eq!(output.len(), 90);
    }
}

/// Chi-squared of the 162 outcomes against equal odds: mean 161 and deviation 18.
fn chi_squared(draws: impl Iterator<Item = Draw>) -> f64 {
    let mut counts = [0_u32; 162];
    draws.for_each(|draw| counts[draw.top * 18 + draw.left * 2 + usize::from(draw.mirrored)] += 1);
    let expected = f64::from(counts.iter().sum::<u32>()) / 162.0;
    let terms = counts
        .iter()
        .map(|count| (f64::from(*count) - expected).powi(2) / expected);
    terms.sum()
}

#[test]
fn all_draws_are_equally_likely_over_images_epochs_and_seeds() {
    let augmentation = Augmentation::default();
    let over_images = chi_squared((0..16_200).map(|index| augmentation.draw(3, 5, index)));
    let over_epochs = chi_squared((0..16_200).map(|epoch| augmentation.draw(3, epoch, 5)));
    let over_seeds = chi_squared((0..16_200).map(|seed| augmentation.draw(seed, 3, 5)));
    for chi_squared in [over_images, over_epochs, over_seeds] {
        assert!((90.0..245.0).contains(&chi_squared), "{chi_squared}");
    }
}

#[test]
fn without_flip_nothing_is_mirrored() {
    let augmentation = Augmentation {
        flip: false,
        ..Augmentation::default()
    };
    assert!((0..1000).all(|index| !augmentation.draw(0, 0, index).mirrored));
}
