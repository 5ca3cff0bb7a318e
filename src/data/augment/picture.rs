//! One 8-bit image.

use crate::error::{Error, Result};

/// One 8-bit image, `[channels, height, width]` in row-major order, that operations make a new one of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pixels: Vec<u8>,
    shape: [usize; 3],
}

/// Part of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Number of rows.
    pub height: usize,
    /// Number of columns.
    pub width: usize,
}

impl Picture {
    /// An image from its pixels.
    ///
    /// # Errors
    ///
    /// If the shape has a zero, or the number of pixels is not channels × height × width.
    pub fn new(pixels: Vec<u8>, shape: [usize; 3]) -> Result<Self> {
        let expected = shape.iter().try_fold(1, |a: usize, b| a.checked_mul(*b));
        match !shape.contains(&0) && expected == Some(pixels.len()) {
            true => Ok(Self { pixels, shape }),
            false => Err(Error::Config {
                field: "picture.pixels",
                value: format!("{} pixels, {shape:?}", pixels.len()),
                valid: "channels × height × width pixels, each at least 1",
            }),
        }
    }

    /// Number of channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Pixels from 0 to 255.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Pixels that are known to have the shape.
    pub(in crate::data) fn trusted(pixels: Vec<u8>, shape: [usize; 3]) -> Self {
        debug_assert_eq!(shape.iter().product::<usize>(), pixels.len());
        Self { pixels, shape }
    }

    pub(in crate::data) fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The channels, each `[height, width]`.
    pub(super) fn planes(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pixels.chunks_exact(self.shape[1] * self.shape[2])
    }

    /// An image with the same number of channels and a size of its own, made channel by channel.
    pub(super) fn by_plane(
        &self,
        [height, width]: [usize; 2],
        mut make: impl FnMut(usize, &[u8], &mut Vec<u8>),
    ) -> Self {
        let shape = [self.shape[0], height, width];
        let mut pixels = Vec::with_capacity(shape.iter().product());
        for (channel, plane) in self.planes().enumerate() {
            make(channel, plane, &mut pixels);
        }
        Self { pixels, shape }
    }

    /// An image of the same size whose pixel at each position (over all channels) is given.
    pub(super) fn by_pixel(&self, make: impl Fn(usize, u8) -> u8) -> Self {
        let pixels = self.pixels.iter().enumerate();
        Self {
            pixels: pixels
                .map(|(position, pixel)| make(position, *pixel))
                .collect(),
            shape: self.shape,
        }
    }

    /// The image with left and right exchanged.
    pub fn mirrored(&self) -> Self {
        let [_, height, width] = self.shape;
        self.by_plane([height, width], |_, plane, output| {
            for row in plane.chunks_exact(width) {
                output.extend(row.iter().rev());
            }
        })
    }

    /// A part of the image; what of the rectangle lies outside is left out, but one pixel remains.
    pub fn cropped(&self, part: Rectangle) -> Self {
        let [_, height, width] = self.shape;
        let clip = |first: usize, length: usize, size: usize| {
            let first = first.min(size - 1);
            first..first.saturating_add(length.max(1)).min(size)
        };
        let rows = clip(part.top, part.height, height);
        let columns = clip(part.left, part.width, width);
        self.by_plane([rows.len(), columns.len()], |_, plane, output| {
            for row in rows.clone() {
                output.extend(&plane[row * width..][columns.clone()]);
            }
        })
    }

    /// Brightness of each position: PIL's `convert("L")` for three channels, the only channel of a gray
    /// image, the rounded mean of the channels otherwise.
    pub(super) fn luminance(&self) -> Vec<u8> {
        let planes: Vec<&[u8]> = self.planes().collect();
        let at = |position: usize| match planes[..] {
            [gray] => gray[position],
            [red, green, blue] => {
                let weigh = |plane: &[u8], weight: u32| weight * u32::from(plane[position]);
                let sum = weigh(red, 19595) + weigh(green, 38470) + weigh(blue, 7471);
                ((sum + 0x8000) >> 16) as u8
            }
            _ => {
                let sum: usize = planes
                    .iter()
                    .map(|plane| usize::from(plane[position]))
                    .sum();
                ((sum + planes.len() / 2) / planes.len()) as u8
            }
        };
        (0..self.shape[1] * self.shape[2]).map(at).collect()
    }
}
