//! Attention is burn's, whether its linear layers run on the kernels or not.

use burn::module::Module;
use burn::nn::attention::{
    MhaCache, MhaInput as BurnMhaInput, MultiHeadAttentionConfig, generate_autoregressive_mask,
};
use burn::tensor::{Bool, Tensor};
use zosam::masks::Execution;
use zosam::nn::{MhaInput, MultiHeadAttention};
use zosam::objective::seeded;

use super::convolutions::living;
use super::{assert_close, device, random};

const WIDTH: usize = 12;

fn layer(quiet: bool) -> MultiHeadAttention {
    let config = MultiHeadAttentionConfig::new(WIDTH, 3)
        .with_dropout(0.3)
        .with_quiet_softmax(quiet)
        .with_key_bias(false);
    MultiHeadAttention::new(&config, &device())
}

/// Nine queries, and ten keys of which some are hidden from all or from some queries.
fn input(x: &Tensor<3>, hidden: bool) -> MhaInput {
    let keys = x.clone() * 2.0 + 0.3;
    let input = MhaInput::new(x.clone().narrow(1, 0, 9), keys.clone(), keys.sin());
    if !hidden {
        return input;
    }
    let [batch, count, _] = x.dims();
    let pad = random([batch, count]).greater_elem(1.0);
    let causal: Tensor<3, Bool> = generate_autoregressive_mask(batch, count, &device());
    input.mask_pad(pad).mask_attn(causal.narrow(1, 0, 9))
}

/// Without masks of weights the bits are burn's, dropout included.
#[test]
fn outside_of_masks_it_is_burns_own() {
    for (quiet, hidden) in [(false, false), (false, true), (true, false), (true, true)] {
        let (layer, _) = living(layer(quiet), 0.5);
        let input = input(&random([2, 10, WIDTH]), hidden);
        let burns = BurnMhaInput::from(input.clone());
        let found = seeded(&device(), 3, || layer.forward(input.clone()));
        let expected = seeded(&device(), 3, || layer.as_burn().forward(burns));
        assert_eq!(found.context.into_data(), expected.context.into_data());
        assert_eq!(found.weights.into_data(), expected.weights.into_data());
    }
}

/// Context, attention weights and gradients of input and weights, dead ones left out; dropout by one seed.
fn pass(layer: &MultiHeadAttention, x: &Tensor<3>, ours: bool) -> (Tensor<4>, Vec<Tensor<3>>) {
    let x = x.clone().detach().require_grad();
    let input = input(&x, false);
    let output = seeded(&device(), 4, || match ours {
        true => layer.forward(input),
        false => layer.as_burn().forward(input.into()),
    });
    // Slopes that differ from place to place; those of softmax's weights alone would sum to nothing.
    let slope = output.context.clone().detach().cos();
    let gradients = (output.context.clone() * slope).sum().backward();
    let mut all = vec![output.context.inner(), x.grad(&gradients).unwrap()];
    for linear in [&layer.query, &layer.key, &layer.value, &layer.output] {
        let gradient = linear.weight.grad(&gradients).unwrap();
        let dead = linear.weight.val().inner().equal_elem(0.0);
        // Alike where both are zero by rule: the kernels leave dead weights out, burn does not.
        if ours {
            let there = gradient.clone().mask_fill(dead.clone().bool_not(), 0.0);
            assert_eq!(there.abs().max().into_scalar::<f32>(), 0.0);
        }
        all.push(gradient.mask_fill(dead, 0.0).unsqueeze());
    }
    (output.weights.inner(), all)
}

#[test]
fn forward_and_gradients_on_the_kernels() {
    for (batch, density) in [(1, 0.3), (3, 0.1), (2, 1.0), (3, 0.0)] {
        let (layer, masks) = living(layer(batch == 3), density);
        let x = random([batch, 10, WIDTH]);
        let found = masks.run(Execution::Sparse, || pass(&layer, &x, true));
        let expected = pass(&layer, &x, false);
        assert_close("attention weights", found.0, expected.0);
        let names = [
            "context",
            "of x",
            "of query",
            "of key",
            "of value",
            "of output",
        ];
        for ((name, found), expected) in names.into_iter().zip(found.1).zip(expected.1) {
            assert_close(&format!("{name}, density {density}"), found, expected);
        }
        let report = masks.execution_report();
        let calls: Vec<_> = report.layers.iter().map(|l| l.sparse.calls).collect();
        assert_eq!(calls, [[1; 3]; 4]);
    }
}

/// Token by token, with burn's cache.
#[test]
fn a_cache_changes_nothing() {
    let (layer, masks) = living(layer(false), 0.5);
    let layer = layer.valid();
    let x = random([2, 6, WIDTH]).inner();
    let causal = |count| generate_autoregressive_mask(2, count, &x.device());
    let whole = MhaInput::self_attn(x.clone()).mask_attn(causal(6));
    let whole = layer.forward(whole).context;
    let mut cache = MhaCache::autoregressive();
    masks.run(Execution::Sparse, || {
        for count in 1..=6 {
            let input = MhaInput::self_attn(x.clone().narrow(1, 0, count));
            let context = layer.forward_cache(input, &mut cache).context;
            assert_close("context", context, whole.clone().narrow(1, 0, count));
        }
    });
}

/// What burn refuses is refused in burn's words.
#[test]
#[should_panic(
    expected = "assert_shape!(input.key, [batch, _, self.d_model]): axis 0 expected 2, got 1"
)]
fn a_key_of_another_batch() {
    let key = random([1, 3, WIDTH]);
    let input = MhaInput::new(random([2, 3, WIDTH]), key.clone(), key);
    super::drawn(layer(false)).forward(input);
}
