//! Numbers from a seed.

/// A stream of numbers (splitmix64), so that a failing case shrinks by its shape and not by its data.
pub struct Stream(u64);

impl Stream {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// In (-1, 1), never zero.
    pub fn number(&mut self) -> f32 {
        ((self.word() >> 41) as f32 - 4_194_303.5) / 4_194_304.0
    }

    pub fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }

    /// A mask of a matrix; every other one is of blocks of 2 × 2, cut off at the borders, so that rows share what they read.
    pub fn mask(&mut self, [rows, columns]: [usize; 2], density: f32) -> Vec<bool> {
        let unit = 1 + (self.word() % 2) as usize;
        let units = (0..rows.div_ceil(unit) * columns.div_ceil(unit))
            .map(|_| self.number().abs() < density)
            .collect::<Vec<_>>();
        let unit_of =
            |at: usize| at / columns / unit * columns.div_ceil(unit) + at % columns / unit;
        (0..rows * columns).map(|at| units[unit_of(at)]).collect()
    }
}
