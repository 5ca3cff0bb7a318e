//! The published methods, one in each file.

mod bundled;
mod dense;
mod dsr;
mod gmp;
mod grasp;
mod keep;
mod lottery_ticket;
mod magnitude;
mod mest;
mod random;
mod rigl;
mod set;
mod setters;
mod snfs;
mod snip;
mod svite;
mod synflow;
mod top_kast;

pub use bundled::Method;
pub use dense::Dense;
pub use dsr::Dsr;
pub use gmp::GradualMagnitude;
pub use grasp::Grasp;
pub use keep::Keep;
pub use lottery_ticket::{LotteryTicket, Perturbed};
pub use magnitude::MagnitudeStatic;
pub use mest::{Mest, MestGrowth, MestPhase};
pub use random::RandomStatic;
pub use rigl::RigL;
pub use set::Set;
pub use snfs::Snfs;
pub use snip::Snip;
pub use svite::Svite;
pub use synflow::SynFlow;
pub use top_kast::TopKast;
