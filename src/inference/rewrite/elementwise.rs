//! Functions of single numbers that follow each other become one program: one pass over memory.

use crate::inference::graph::{Graph, Id, Index, Operation};
use crate::kernels::elementwise::Instruction;

/// The most instructions and inputs of a program that is put together.
const MOST: [usize; 2] = [32, 8];

pub(super) fn join(graph: &mut Graph) {
    let index = Index::new(graph);
    for at in 0..graph.nodes.len() {
        let Operation::Map(mut program) = graph.nodes[at].operation.clone() else {
            continue;
        };
        let mut inputs = graph.nodes[at].inputs.clone();
        let is_alone = |id: Id| {
            let readers = &index.readers[id];
            readers.iter().all(|reader| *reader == at) && !graph.outputs.contains(&id)
        };
        // The program before each input has been put together already.
        let mut place = 0;
        while place < inputs.len() {
            let id = inputs[place];
            let before = index.maker[id].filter(|_| is_alone(id));
            match before.map(|before| (&graph.nodes[before].operation, before)) {
                Some((Operation::Map(first), before)) => {
                    let others = &graph.nodes[before].inputs;
                    match put(first, others, &program, &inputs, place) {
                        Some(both) => (program, inputs) = both,
                        None => place += 1,
                    }
                }
                _ => place += 1,
            }
        }
        graph.nodes[at].operation = Operation::Map(program);
        graph.nodes[at].inputs = inputs;
    }
}

/// A program that first computes an input of another.
fn put(
    first: &[Instruction],
    others: &[Id],
    program: &[Instruction],
    inputs: &[Id],
    place: usize,
) -> Option<(Vec<Instruction>, Vec<Id>)> {
    let mut all: Vec<Id> = Vec::new();
    let mut number = |id: Id| match all.iter().position(|other| *other == id) {
        Some(at) => at,
        None => {
            all.push(id);
            all.len() - 1
        }
    };
    let kept: Vec<Option<usize>> = inputs
        .iter()
        .enumerate()
        .map(|(at, id)| (at != place).then(|| number(*id)))
        .collect();
    let before: Vec<usize> = others.iter().map(|id| number(*id)).collect();
    let count = all.len();
    if first.len() + program.len() > MOST[0] || count > MOST[1] {
        return None;
    }
    let made = count + first.len() - 1;
    let of_first = |operand: usize| match operand.checked_sub(others.len()) {
        Some(step) => count + step,
        None => before[operand],
    };
    let of_second = |operand: usize| match operand.checked_sub(inputs.len()) {
        Some(step) => count + first.len() + step,
        None => kept[operand].unwrap_or(made),
    };
    let mut both: Vec<Instruction> = Vec::new();
    both.extend(
        first
            .iter()
            .map(|instruction| renamed(*instruction, of_first)),
    );
    both.extend(
        program
            .iter()
            .map(|instruction| renamed(*instruction, of_second)),
    );
    Some((both, all))
}

fn renamed(instruction: Instruction, name: impl Fn(usize) -> usize) -> Instruction {
    match instruction {
        Instruction::Unary(function, a) => Instruction::Unary(function, name(a)),
        Instruction::Binary(function, a, b) => Instruction::Binary(function, name(a), name(b)),
    }
}
