//! Operations that are left to burn, and what passes between them and the steps.

use super::planner::{Action, Planner, Slot, Step};
use super::view::Layout;
use crate::error::Result;
use crate::inference::graph::{Id, Node};

impl Planner<'_> {
    pub fn burn(&mut self, node: &Node, json: &str) -> Result<()> {
        let index = self.program.add(self.graph, node, json)?;
        for &id in &node.inputs {
            if self.given[id] {
                continue;
            }
            self.given[id] = true;
            if self.is_constant(id) {
                self.program.constant(self.graph, id);
                continue;
            }
            let view = self.plain(id)?;
            let from = self.whole(id, &view);
            self.act(Action::Give { id, from });
        }
        self.act(Action::Operate(index));
        node.outputs.iter().for_each(|id| self.given[*id] = true);
        Ok(())
    }

    /// Takes floats back from burn.
    pub(super) fn get(&mut self, id: Id) {
        let layout = Layout::plain(self.shape(id));
        let to = self.slot(Slot::Buffer(layout.span(self.shape(id))));
        self.act(Action::Get { id, to });
        self.lies(id, to, layout);
    }

    fn act(&mut self, action: Action) {
        self.steps.push(Step {
            node: self.node,
            action,
        });
    }
}
