//! Operations that look each pixel up in a table, as in PIL's `ImageOps`.

use super::Picture;

type Table = [u8; 256];

/// A table for each channel, from how often each pixel value occurs in it.
fn by_histogram(picture: &Picture, table: impl Fn(&[usize; 256]) -> Table) -> Picture {
    let [_, height, width] = picture.shape();
    picture.by_plane([height, width], |_, plane, output| {
        let mut counts = [0; 256];
        plane
            .iter()
            .for_each(|pixel| counts[usize::from(*pixel)] += 1);
        let table = table(&counts);
        output.extend(plane.iter().map(|pixel| table[usize::from(*pixel)]));
    })
}

/// Stretches each channel to 0 … 255: `⌊(pixel − low) · 255 / (high − low)⌋`, in the order of PIL's sums.
pub(super) fn auto_contrast(picture: &Picture) -> Picture {
    by_histogram(picture, |counts| {
        let low = counts.iter().position(|count| *count > 0).unwrap_or(0);
        let high = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
        if high <= low {
            return std::array::from_fn(|pixel| pixel as u8);
        }
        let scale = 255.0 / (high - low) as f64;
        let offset = -(low as f64) * scale;
        std::array::from_fn(|pixel| (pixel as f64 * scale + offset) as u8)
    })
}

/// Makes pixel values about equally frequent, channel by channel. Does nothing to a channel with fewer than
/// 255 pixels below its brightest value, as PIL.
pub(super) fn equalize(picture: &Picture) -> Picture {
    by_histogram(picture, |counts| {
        let brightest = counts.iter().rfind(|count| **count > 0).unwrap_or(&0);
        let step = (counts.iter().sum::<usize>() - brightest) / 255;
        if step == 0 {
            return std::array::from_fn(|pixel| pixel as u8);
        }
        let mut sum = step / 2;
        std::array::from_fn(|pixel| {
            let level = (sum / step).min(255) as u8;
            sum += counts[pixel];
            level
        })
    })
}

pub(super) fn invert(picture: &Picture) -> Picture {
    picture.by_pixel(|_, pixel| 255 - pixel)
}

/// Keeps the highest bits.
pub(super) fn posterize(picture: &Picture, bits: u8) -> Picture {
    let mask = 0xff_u8
        .checked_shl(8_u32.saturating_sub(bits.into()))
        .unwrap_or(0);
    picture.by_pixel(|_, pixel| pixel & mask)
}

/// Inverts pixels from the threshold on.
pub(super) fn solarize(picture: &Picture, threshold: u16) -> Picture {
    picture.by_pixel(|_, pixel| match u16::from(pixel) < threshold {
        true => pixel,
        false => 255 - pixel,
    })
}

/// Brightens pixels below 128.
pub(super) fn solarize_add(picture: &Picture, amount: u8) -> Picture {
    picture.by_pixel(|_, pixel| match pixel < 128 {
        true => pixel.saturating_add(amount),
        false => pixel,
    })
}
