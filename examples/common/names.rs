//! What can be chosen by name, whatever the data are.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident),* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        #[value(rename_all = "kebab-case")]
        #[allow(missing_docs)]
        pub enum $name { $($variant),* }
    )*};
}

names! {
    MethodName { Dense, Keep, Random, Magnitude, Snip, Grasp, Synflow, Lth, Gmp, Set, Dsr, Rigl, Mest, MestEms, Svite, Snfs, Topkast }
    DistributionName { Uniform, UniformPlus, Er, Erk }
    ScheduleName { Cosine, Step }
    SharpnessName { None, Sam, Asam, Gsam, Esam, Looksam, S2sam, Msam, Fsam, Wsam, FisherSam, ZoSam, Random, RandomSign }
    DirectionName { Isotropic, Orthogonal, Guided, Span, Blocks, Norms }
    DrawName { Gaussian, Rademacher, Sphere }
    SidesName { Two, One }
    ScopeName { All, Sparse }
    MemoryName { Both, Last, None }
    DeviceName { Flex, Ndarray, Wgpu, Vulkan, Cuda }
}
