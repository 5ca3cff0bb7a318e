//! Planes in frames of zeros, in which a convolution finds its padding without a copy.

use super::plane::copy_run;
use super::shape::length;
use super::simd::{Instructions, Job, MAX_LANES, Simd};
use crate::error::{Result, check};

/// Planes of a height and width, each in a frame: a row of zeros above, a zero before each row, and
/// zeros behind the last.
///
/// Pixel `(y, x)` lies at `(y + 1) · (width + 1) + 1 + x` of its plane, so that the zero before a
/// row is also the one behind the row above.
///
/// ```
/// use zosam::kernels::Frame;
///
/// let frame = Frame::new([2, 2])?;
/// let mut framed = vec![f32::NAN; frame.length()];
/// frame.put(&[1.0, 2.0, 3.0, 4.0], &mut framed)?;
/// assert_eq!(framed[..9], [0.0, 0.0, 0.0, 0.0, 1.0, 2.0, 0.0, 3.0, 4.0]);
/// assert!(framed[9..].iter().all(|number| *number == 0.0));
///
/// let mut plane = [0.0; 4];
/// frame.take(&framed, &mut plane)?;
/// assert_eq!(plane, [1.0, 2.0, 3.0, 4.0]);
/// # Ok::<(), zosam::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    size: [usize; 2],
    length: usize,
}

impl Frame {
    /// For planes of a height and width, each at least 1 and at most 8192.
    ///
    /// # Errors
    /// Other sizes.
    pub fn new(size: [usize; 2]) -> Result<Self> {
        for (field, size) in ["height", "width"].into_iter().zip(size) {
            let holds = (1..=1 << 13).contains(&size);
            check(field, size as f64, holds, "at least 1 and at most 8192")?;
        }
        let mut frame = Self { size, length: 0 };
        // The last vector of pixels may hang over, and is read a row and a column further on.
        let read = frame.first() + frame.run().next_multiple_of(MAX_LANES) + frame.first();
        // An odd number of cache lines: planes at multiples of 4096 bytes would compete for the
        // same sets.
        frame.length = (read.div_ceil(MAX_LANES) | 1) * MAX_LANES;
        Ok(frame)
    }

    /// Numbers of a plane with its frame.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Numbers from one row to the next.
    pub(crate) fn pitch(&self) -> usize {
        self.size[1] + 1
    }

    /// The place of the first pixel.
    pub(crate) fn first(&self) -> usize {
        self.pitch() + 1
    }

    /// Numbers from the first to the last pixel.
    fn run(&self) -> usize {
        (self.size[0] - 1) * self.pitch() + self.size[1]
    }

    /// Vectors that cover the run.
    pub(super) fn vectors(&self, lanes: usize) -> usize {
        self.run().div_ceil(lanes)
    }

    /// Copies planes `[planes, height, width]` into frames `[planes, length]`, all of which is
    /// written.
    ///
    /// # Errors
    /// Slices of different numbers of planes, or not of whole ones.
    pub fn put(&self, planes: &[f32], framed: &mut [f32]) -> Result<()> {
        self.planes(planes, framed)?;
        let frame = *self;
        Instructions::detect().run(Put {
            frame,
            planes,
            framed,
        });
        Ok(())
    }

    /// Copies planes out of their frames.
    ///
    /// # Errors
    /// As for [`put`](Self::put).
    pub fn take(&self, framed: &[f32], planes: &mut [f32]) -> Result<()> {
        self.planes(planes, framed)?;
        let frame = *self;
        Instructions::detect().run(Take {
            frame,
            framed,
            planes,
        });
        Ok(())
    }

    /// Checks that both are as many planes.
    fn planes(&self, planes: &[f32], framed: &[f32]) -> Result<()> {
        let each = self.size[0] * self.size[1];
        let count = super::shape::examples("the planes", planes, each)?;
        length("the frames", framed.len(), count * self.length)
    }

    /// Makes a plane's frame zero, whatever a product has left there.
    ///
    /// # Safety
    /// `plane` is valid for the plane with its frame.
    #[inline(always)]
    pub(super) unsafe fn clear(&self, plane: *mut f32) {
        let [height, width] = self.size;
        let end = self.first() + self.run();
        // SAFETY: all of these lie in the plane.
        unsafe {
            std::slice::from_raw_parts_mut(plane, self.first()).fill(0.0);
            for row in 0..height - 1 {
                *plane.add(self.first() + row * self.pitch() + width) = 0.0;
            }
            std::slice::from_raw_parts_mut(plane.add(end), self.length - end).fill(0.0);
        }
    }
}

struct Put<'a> {
    frame: Frame,
    planes: &'a [f32],
    framed: &'a mut [f32],
}

impl Job for Put<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [height, width] = self.frame.size;
        let planes = self.planes.chunks_exact(height * width);
        for (plane, framed) in planes.zip(self.framed.chunks_exact_mut(self.frame.length)) {
            let to = framed.as_mut_ptr();
            // SAFETY: rows lie in the plane and in its frame; the caller vouches for the
            // instructions.
            unsafe {
                self.frame.clear(to);
                for (row, from) in plane.chunks_exact(width).enumerate() {
                    let to = to.add(self.frame.first() + row * self.frame.pitch());
                    copy_run::<S>(from.as_ptr(), to, width);
                }
            }
        }
    }
}

struct Take<'a> {
    frame: Frame,
    framed: &'a [f32],
    planes: &'a mut [f32],
}

impl Job for Take<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let [height, width] = self.frame.size;
        let planes = self.planes.chunks_exact_mut(height * width);
        for (plane, framed) in planes.zip(self.framed.chunks_exact(self.frame.length)) {
            for (row, to) in plane.chunks_exact_mut(width).enumerate() {
                let from = &framed[self.frame.first() + row * self.frame.pitch()..][..width];
                // SAFETY: both have `width` numbers; the caller vouches for the instructions.
                unsafe { copy_run::<S>(from.as_ptr(), to.as_mut_ptr(), width) };
            }
        }
    }
}
