//! A graph as it was recorded, made into one of fewer and larger operations.

mod assigns;
mod attention;
mod elementwise;
mod epilogue;
mod identities;
mod norms;
mod shortcuts;

use super::graph::Graph;

/// All rewriting. Operations and constants that are not needed any more are gone behind it.
pub(crate) fn rewrite(graph: &mut Graph) {
    graph.prune();
    identities::drop_identities(graph);
    assigns::join(graph);
    norms::find_norms(graph);
    attention::find_attention(graph);
    epilogue::absorb(graph);
    // Behind what products absorb: a sum belongs to the layer that has more to do.
    shortcuts::find(graph);
    elementwise::join(graph);
    graph.prune();
}
