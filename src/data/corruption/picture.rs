//! One image in floating point.

/// An image with values from 0 to 1, `[channels, height, width]`.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub values: Vec<f64>,
    pub shape: [usize; 3],
}

impl Picture {
    pub fn new(pixels: &[u8], shape: [usize; 3]) -> Self {
        let values = pixels.iter().map(|pixel| f64::from(*pixel) / 255.0);
        Self {
            values: values.collect(),
            shape,
        }
    }

    /// Height and width.
    pub fn size(&self) -> [usize; 2] {
        [self.shape[1], self.shape[2]]
    }

    /// Each channel.
    pub fn planes(&self) -> impl Iterator<Item = &[f64]> {
        self.values.chunks_exact(self.shape[1] * self.shape[2])
    }

    /// The same image with other channels.
    pub fn map_planes(&self, change: impl Fn(&[f64]) -> Vec<f64>) -> Self {
        Self {
            values: self.planes().flat_map(change).collect(),
            shape: self.shape,
        }
    }

    /// The same image with other values.
    pub fn map(mut self, change: impl Fn(usize, f64) -> f64) -> Self {
        for (position, value) in self.values.iter_mut().enumerate() {
            *value = change(position, *value);
        }
        self
    }

    /// Colours of each pixel, changed; only for three channels.
    pub fn map_colors(mut self, change: impl Fn([f64; 3]) -> [f64; 3]) -> Self {
        let size = self.shape[1] * self.shape[2];
        for position in 0..size {
            let places = [position, position + size, position + 2 * size];
            let color = change(places.map(|place| self.values[place]));
            for (place, value) in places.into_iter().zip(color) {
                self.values[place] = value;
            }
        }
        self
    }

    /// Brightness of each pixel, ITU-R BT.601.
    pub fn grey(&self) -> Vec<f64> {
        let size = self.shape[1] * self.shape[2];
        match self.shape[0] {
            3 => (0..size)
                .map(|position| {
                    let [red, green, blue] =
                        [0, 1, 2].map(|channel| self.values[channel * size + position]);
                    0.299 * red + 0.587 * green + 0.114 * blue
                })
                .collect(),
            _ => self.values[..size].to_vec(),
        }
    }

    /// Bytes, rounded down as the authors' program does.
    pub fn into_bytes(self) -> Vec<u8> {
        let byte = |value: f64| (value.clamp(0.0, 1.0) * 255.0) as u8;
        self.values.into_iter().map(byte).collect()
    }
}

/// As [`Picture::into_bytes`], in the single precision that some of the authors' functions compute in.
pub(super) fn byte_of_single(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0) as u8
}
