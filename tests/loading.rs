//! What loading a network costs: memory in proportion to the file, whatever sizes it names.

#[path = "compile/forge.rs"]
mod forge;

use peak_alloc::PeakAlloc;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use zosam::inference::SparseNetwork;

use forge::forge;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

fn window(kernel: usize, stride: usize) -> Value {
    let (kernel, stride) = ([kernel; 2], [stride; 2]);
    json!({ "kernel": kernel, "stride": stride, "padding": [0, 0], "dilation": [1, 1] })
}

/// An operation, shapes of its inputs, the number of them that are computed, and the shape of its output.
type Case = (Value, Vec<Vec<usize>>, usize, Vec<usize>);

/// An operation on inputs of some shapes; those behind the first `computed` are constants of zeros.
fn graph(operation: Value, shapes: &[&[usize]], computed: usize, output: &[usize]) -> String {
    let tensor = |shape: &&[usize]| json!({ "shape": shape, "kind": "Float" });
    let mut tensors: Vec<Value> = shapes.iter().map(tensor).collect();
    tensors.push(tensor(&output));
    let count = shapes.len();
    let graph = json!({
        "tensors": tensors,
        "paths": {},
        "inputs": (0..computed).collect::<Vec<_>>(),
        "outputs": [count],
        "nodes": [{ "operation": operation, "inputs": (0..count).collect::<Vec<_>>(), "outputs": [count] }],
        "is_each": true,
    });
    graph.to_string()
}

/// Files of a few hundred bytes whose tensors have up to 2³¹ numbers, of each operation that has a size to choose. A plan is
/// made, and what a run writes only when it runs.
#[test]
fn small_files_take_little_memory() {
    let huge = 1 << 29;
    let side = 8192;
    let after = json!({ "bias": false, "residual": false, "relu": false });
    let conv =
        |kernel, stride| json!({ "window": window(kernel, stride), "groups": 1, "after": after });
    let pool = |counts: bool| json!({ "window": window(2, 2), "counts_padding": counts });
    let cases: Vec<Case> = vec![
        (
            json!("MatMul"),
            vec![vec![huge, 1, 2], vec![huge, 2, 1]],
            2,
            vec![huge, 1, 1],
        ),
        (
            json!({ "Attention": { "factor": 1.0, "masked": false } }),
            vec![vec![huge, 1, 2]; 3],
            3,
            vec![huge, 1, 2],
        ),
        (
            json!({ "Linear": { "after": after } }),
            vec![vec![huge, 2], vec![2, 1]],
            1,
            vec![huge, 1],
        ),
        (
            json!({ "Conv": conv(1, 1) }),
            vec![vec![1, 1, side, side], vec![1, 1, 1, 1]],
            1,
            vec![1, 1, side, side],
        ),
        (
            json!({ "Conv": conv(2, side - 2) }),
            vec![vec![1, 1, side, side], vec![1, 1, 2, 2]],
            1,
            vec![1, 1, 2, 2],
        ),
        (
            json!({ "ConvTranspose": conv(1, side - 1) }),
            vec![vec![1, 1, 2, 2], vec![1, 1, 1, 1]],
            1,
            vec![1, 1, side, side],
        ),
        (
            json!({ "AveragePool": pool(true) }),
            vec![vec![1, 1, side, side]],
            1,
            vec![1, 1, side / 2, side / 2],
        ),
        (
            json!({ "MaxPool": { "window": window(2, 2) } }),
            vec![vec![huge, 1, 2, 2]],
            1,
            vec![huge, 1, 1, 1],
        ),
        (
            json!({ "Broadcast": "Add" }),
            vec![vec![huge, 1], vec![1, 4]],
            2,
            vec![huge, 4],
        ),
        (
            json!({ "Reduce": { "axes": [1], "mean": true } }),
            vec![vec![huge, 4]],
            1,
            vec![huge, 1],
        ),
        (
            json!({ "Softmax": { "axis": 0, "logarithm": true } }),
            vec![vec![huge, 2]],
            1,
            vec![huge, 2],
        ),
        (
            json!({ "Permute": { "order": [1, 0] } }),
            vec![vec![huge, 2]],
            1,
            vec![2, huge],
        ),
        (
            json!({ "Pad": { "before": [huge], "value": 1.0 } }),
            vec![vec![3]],
            1,
            vec![2 * huge],
        ),
        (
            json!({ "Concat": { "axis": 0 } }),
            vec![vec![huge], vec![2]],
            1,
            vec![huge + 2],
        ),
        (json!("Expand"), vec![vec![2, 1]], 0, vec![2, huge]),
    ];
    let zeros = [0; 16];
    for (operation, shapes, computed, output) in cases {
        let shapes: Vec<&[usize]> = shapes.iter().map(Vec::as_slice).collect();
        let name = operation.to_string();
        let graph = graph(operation, &shapes, computed, &output);
        let names: Vec<String> = (0..shapes.len()).map(|id| id.to_string()).collect();
        let constants = (computed..shapes.len()).map(|id| {
            let count: usize = shapes[id].iter().product();
            let view = TensorView::new(Dtype::F32, vec![count], &zeros[..4 * count]);
            (names[id].as_str(), view.unwrap())
        });
        let bytes = forge(&graph, constants.collect());
        let before = ALLOCATOR.current_usage();
        ALLOCATOR.reset_peak_usage();
        let network =
            SparseNetwork::from_bytes(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let peak = ALLOCATOR.peak_usage() - before;
        assert!(
            peak < 400_000,
            "{name}: {peak} bytes for a file of {}",
            bytes.len()
        );
        // Nothing of it is run: inputs of other sizes are refused first.
        if computed > 0 {
            assert!(network.logits(&[0.0; 7]).is_err(), "{name}");
        }
    }
}
