//! One direction of a convolution: where its weights find their sources, and which layout it uses.

use super::super::interleaved::Interleaved;
use super::super::plane::Plane;
use super::super::rows::{Rows, TILE};
use super::super::simd::{MAX_LANES, Simd};
use crate::error::Result;

/// A product with the weights: from planes of one side to the planes of the other.
///
/// Images are taken one by one, a lane being an output position, or a vector of them at once, a
/// lane being an image. Live weights are in the same order in both.
#[derive(Clone, Debug)]
pub(super) struct Direction {
    pub(super) plane: Plane,
    pub(super) interleaved: Interleaved,
    /// Whether a vector of images is taken at once where there are enough, see [`interleaves`].
    pub(super) interleaves: bool,
    /// Channels on the source side.
    pub(super) channels: usize,
    /// Channels on the target side.
    pub(super) targets: usize,
    /// Blocks of source channels, see [`blocks`].
    pub(super) blocks: usize,
    /// Size of the target planes.
    pub(super) size: [usize; 2],
    /// Target positions from one index of a run to the next: 1 forward, the stride backward.
    pub(super) step: [usize; 2],
    /// One part forward; backward one per phase of the stride that has weights.
    pub(super) parts: Vec<Part>,
    /// Whether there are target positions that no part computes: they are zero.
    pub(super) fills: bool,
}

/// Rows of weights, by block and in it a row per target channel, and the target positions that they
/// compute.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) rows: Rows,
    pub(super) target: [Spread; 2],
    /// The first target position that the run computes, on both axes.
    pub(super) phase: [usize; 2],
}

/// Index `i` of a run is target position `start + step · i`, where there is one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) start: isize,
    pub(super) step: usize,
}

impl Direction {
    /// Multiply-adds for an image.
    pub(super) fn work(&self) -> usize {
        let live = self.parts.iter().filter_map(|part| part.rows.starts.last());
        live.sum::<usize>() * self.plane.rows.outputs * self.plane.columns.outputs
    }

    /// Checks that offsets fit into 32 bits.
    pub(super) fn check(&self, weights: usize) -> Result<()> {
        let planes = self.plane.phases() * self.plane.length;
        let per_channel = match self.interleaves {
            true => planes.max(self.interleaved.channel * MAX_LANES),
            false => planes,
        };
        let numbers = self.channels as f64 * per_channel as f64;
        let fits = numbers < f64::from(u32::MAX) && weights < u32::MAX as usize;
        crate::error::check("size of an image", numbers, fits, "below 2³² numbers")
    }

    /// Packs a band of `LANES` images, from row `band` of the run on.
    ///
    /// # Safety
    /// `source` has these images, `packed` a band of all channels, zero at the sides; the CPU has
    /// the instructions of `S`.
    #[inline(always)]
    pub(super) unsafe fn pack_many<S: Simd>(
        &self,
        source: &[f32],
        image: usize,
        band: usize,
        packed: &mut [f32],
    ) {
        let size = self.interleaved.inputs();
        for channel in 0..self.channels {
            // SAFETY: the channel of the images lies in the source, its vectors in the scratch.
            unsafe {
                let from = source
                    .as_ptr()
                    .add((image * self.channels + channel) * size);
                let to = channel * self.interleaved.channel * S::LANES;
                let to = packed.as_mut_ptr().add(to);
                self.interleaved
                    .pack::<S>(from, self.channels * size, band, to);
            }
        }
    }
}

/// Numbers that a tile should read of one block of channels: half of a first cache of 32 KiB.
const BLOCK: usize = 4 << 10;

/// Below this many weights per row and block, more blocks would cost more loads and stores of sums
/// than they save.
const WEIGHTS: usize = 16;

/// The number of blocks of channels. A tile passes all rows of a block before the next, so that
/// what it reads stays in the first cache.
pub(super) fn blocks(
    interleaved: &Interleaved,
    run: [usize; 2],
    [channels, targets]: [usize; 2],
    lanes: usize,
    live: usize,
) -> usize {
    let most = (live / (targets * WEIGHTS)).clamp(1, channels);
    let per_channel = interleaved.window(run[1].div_ceil(run[1].div_ceil(TILE))) * lanes;
    (channels * per_channel).div_ceil(BLOCK).min(most)
}

/// Positions of a plane below which, and weights per row from which on, a vector of images at once
/// is faster.
const FEW_POSITIONS: usize = 256;
const MANY_WEIGHTS: usize = 32;

/// Which layout is faster, as measured on 8 lanes: lanes that are images waste none on small
/// planes, need no phases for a stride, and load faster; but they take longer to pack and to write,
/// which pays where enough is computed in between.
pub(super) fn interleaves(target: [usize; 2], strided: bool, targets: usize, live: usize) -> bool {
    strided || target[0] * target[1] < FEW_POSITIONS || live >= MANY_WEIGHTS * targets
}
