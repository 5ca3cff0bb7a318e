//! What bounds outputs: ReLU from below, a number from above.

use super::simd::Simd;

/// `min(relu(x), most)`, each if wanted: ReLU6 has both. NaN stays.
///
/// ```
/// use zosam::kernels::Bounds;
///
/// let relu6 = Bounds { relu: true, most: Some(6.0) };
/// assert_eq!([-1.0, 2.0, 7.0].map(|x| relu6.of(x)), [0.0, 2.0, 6.0]);
/// assert_eq!(Bounds::default().of(-1.0), -1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds {
    /// Whether negative outputs become zero.
    pub relu: bool,
    /// What larger outputs become.
    pub most: Option<f32>,
}

impl Bounds {
    /// ReLU alone.
    pub const RELU: Self = Self {
        relu: true,
        most: None,
    };

    /// Whether every number stays as it is.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// These bounds, then others, as one; `None` where they are not of this form: ReLU of what has
    /// a negative upper bound.
    pub(crate) fn then(self, next: Self) -> Option<Self> {
        let most = match (self.most, next.most) {
            (Some(most), _) if next.relu && most < 0.0 => return None,
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let relu = self.relu || next.relu;
        Some(Self { relu, most })
    }

    /// One number.
    #[inline(always)]
    pub fn of(self, x: f32) -> f32 {
        let x = if self.relu && x < 0.0 { 0.0 } else { x };
        match self.most {
            Some(most) if x > most => most,
            _ => x,
        }
    }

    /// A vector.
    ///
    /// # Safety
    /// The CPU has the instructions of `S`.
    #[inline(always)]
    pub(crate) unsafe fn of_all<S: Simd>(self, x: S::Vector) -> S::Vector {
        // SAFETY: the caller's contract.
        unsafe {
            let x = match self.relu {
                true => S::pass_positive(x, x),
                false => x,
            };
            match self.most {
                Some(most) => S::at_most(x, S::splat(most)),
                None => x,
            }
        }
    }
}
