//! The bundled methods as one type.

use serde::{Deserialize, Serialize};

use super::{
    Dense, Dsr, GradualMagnitude, Grasp, Keep, LotteryTicket, MagnitudeStatic, Mest, RandomStatic,
    RigL, Set, Snfs, Snip, Svite, SynFlow, TopKast,
};
use crate::sparse::method::SparsityMethod;

/// The bundled methods, so that a run's settings are one JSON document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// No sparsity.
    Dense(Dense),
    /// The masks that are given, or the model's zeros.
    Keep(Keep),
    /// Static random masks.
    Random(RandomStatic),
    /// SNIP.
    Snip(Snip),
    /// GraSP.
    Grasp(Grasp),
    /// SynFlow.
    #[serde(rename = "synflow")]
    SynFlow(SynFlow),
    /// Magnitude pruning at the start.
    Magnitude(MagnitudeStatic),
    /// Lottery tickets.
    Lth(LotteryTicket),
    /// Gradual magnitude pruning.
    Gmp(GradualMagnitude),
    /// SET.
    Set(Set),
    /// DSR.
    Dsr(Dsr),
    /// RigL.
    RigL(RigL),
    /// MEST, EM or EM&S.
    Mest(Mest),
    /// SViTE.
    Svite(Svite),
    /// SNFS.
    Snfs(Snfs),
    /// Top-KAST.
    #[serde(rename = "topkast")]
    TopKast(TopKast),
}

impl Method {
    /// The method as the trait object that [`Sparsity`](crate::Sparsity) takes.
    pub fn boxed(self) -> Box<dyn SparsityMethod> {
        match self {
            Self::Dense(method) => Box::new(method),
            Self::Keep(method) => Box::new(method),
            Self::Random(method) => Box::new(method),
            Self::Snip(method) => Box::new(method),
            Self::Grasp(method) => Box::new(method),
            Self::SynFlow(method) => Box::new(method),
            Self::Magnitude(method) => Box::new(method),
            Self::Lth(method) => Box::new(method),
            Self::Gmp(method) => Box::new(method),
            Self::Set(method) => Box::new(method),
            Self::Dsr(method) => Box::new(method),
            Self::RigL(method) => Box::new(method),
            Self::Mest(method) => Box::new(method),
            Self::Svite(method) => Box::new(method),
            Self::Snfs(method) => Box::new(method),
            Self::TopKast(method) => Box::new(method),
        }
    }
}
