//! The compressed forms of a mask, built when a layer first asks and dropped with the mask.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::error::Result;
use crate::kernels::{ConvShape, ConvStructure, LinearStructure};

/// One weight's live positions as the kernels want them.
#[derive(Debug, Default)]
pub(crate) struct Structures {
    /// One per input size that was seen.
    convs: Mutex<Vec<Remembered>>,
    /// The same as if every weight were live, for gradients of dead ones.
    whole: Mutex<Vec<Remembered>>,
    linear: OnceLock<Option<Arc<LinearStructure>>>,
}

type Remembered = (ConvShape, Option<Arc<ConvStructure>>);

/// Input sizes that are remembered: more come only from images of ever-changing sizes.
const SIZES: usize = 8;

impl Structures {
    /// The structure for a shape; `None` if the kernels do not take it.
    pub fn conv(&self, shape: ConvShape, live: &[bool]) -> Option<Arc<ConvStructure>> {
        remembered(&self.convs, shape, || ConvStructure::new(shape, live))
    }

    /// The structure for a shape with all weights live; `None` if the kernels do not take it.
    pub fn whole_conv(&self, shape: ConvShape) -> Option<Arc<ConvStructure>> {
        remembered(&self.whole, shape, || {
            ConvStructure::new(shape, &vec![true; shape.weights()])
        })
    }

    /// The structure of weights `[inputs, outputs]`; `None` if the kernels do not take them.
    pub fn linear(
        &self,
        [inputs, outputs]: [usize; 2],
        live: &[bool],
    ) -> Option<Arc<LinearStructure>> {
        let build = || LinearStructure::transposed(inputs, outputs, live).ok();
        self.linear.get_or_init(|| build().map(Arc::new)).clone()
    }
}

fn remembered(
    convs: &Mutex<Vec<Remembered>>,
    shape: ConvShape,
    build: impl FnOnce() -> Result<ConvStructure>,
) -> Option<Arc<ConvStructure>> {
    let mut convs = convs.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, structure)) = convs.iter().find(|(known, _)| *known == shape) {
        return structure.clone();
    }
    let structure = build().ok().map(Arc::new);
    if convs.len() == SIZES {
        convs.remove(0);
    }
    convs.push((shape, structure.clone()));
    structure
}
