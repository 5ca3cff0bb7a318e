//! What a network can do to tensors.

use serde::{Deserialize, Serialize};

use crate::kernels::Bounds;
use crate::kernels::elementwise::{Binary, Instruction};

/// An operation. Names of fields and axes are ONNX's where it has the operation, too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Operation {
    /// `x [N, C, (H,) W] ⋆ weight [O, C / groups, (kh,) kw]`, then what [`After`] says. Constant
    /// weights.
    Conv {
        window: Window,
        groups: usize,
        after: After,
    },
    /// The transpose of a convolution: `x [N, C, (H,) W]`, weight `[C, O / groups, (kh,) kw]`.
    /// Constant weights.
    ConvTranspose {
        window: Window,
        groups: usize,
        after: After,
    },
    /// `x [.., I] weight [I, O]`, then what [`After`] says. Constant weights.
    Linear {
        after: After,
    },
    /// `a [.., M, K] b [.., K, N]`, the axes before the last two broadcast.
    MatMul,
    /// `softmax(factor q kᵀ) v` over the last two axes: q `[.., T, d]`, k `[.., S, d]`, v
    /// `[.., S, e]`. With `masked`, scores are first multiplied by one constant and added to
    /// another, both `[.., T, S]`, broadcast.
    Attention {
        factor: f32,
        masked: bool,
    },
    /// A program of functions of single numbers; all inputs and the output have one shape.
    Map(Vec<Instruction>),
    /// A function of two tensors, broadcast.
    Broadcast(Binary),
    /// Batch norm of channels (axis 1), constants `scale` and `shift` of each, then ReLU if wanted.
    Channels {
        relu: bool,
    },
    /// Batch norm as burn has it: constants gamma, beta, mean and variance.
    BatchNorm {
        epsilon: f64,
    },
    /// `γ (x − μ) / √(σ² + ε) + β` over the last axis; RMS norm if not `centred`. Constants gamma
    /// and beta.
    LayerNorm {
        epsilon: f32,
        centred: bool,
    },
    /// The same over groups of channels (axis 1) and all axes behind. Constants gamma and beta.
    GroupNorm {
        epsilon: f32,
        groups: usize,
    },
    /// Over an axis; its logarithm if wanted.
    Softmax {
        axis: usize,
        logarithm: bool,
    },
    /// Over windows of the last two axes, or the last one; what lies outside does not count.
    MaxPool {
        window: Window,
    },
    /// As [`MaxPool`](Self::MaxPool); what lies outside counts as zeros if `counts_padding`, else
    /// not.
    AveragePool {
        window: Window,
        counts_padding: bool,
    },
    /// The sum over axes, which keep size 1, or the mean.
    Reduce {
        axes: Vec<usize>,
        mean: bool,
    },
    /// The same numbers in another shape.
    Reshape,
    /// Axis `i` of the output is axis `order[i]` of the input.
    Permute {
        order: Vec<usize>,
    },
    /// Every `steps`th element from `starts` on.
    Slice {
        starts: Vec<usize>,
        steps: Vec<usize>,
    },
    /// Axes of size 1 repeated.
    Expand,
    Concat {
        axis: usize,
    },
    /// `value` around the input.
    Pad {
        before: Vec<usize>,
        value: f32,
    },
    /// The first input, except that every `steps`th element from `starts` on is the second's.
    Assign {
        starts: Vec<usize>,
        steps: Vec<usize>,
    },
    /// Rows of a constant `[V, C]` by indices of any shape.
    Embedding,
    /// An operation of burn's, its `OperationIr` in JSON; numbers of tensors are the graph's.
    Burn(String),
}

/// What follows a product: inputs behind the weight, in this order, then bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct After {
    /// A constant with a number for each output.
    pub bias: bool,
    /// A tensor of the output's shape.
    pub residual: bool,
    pub relu: bool,
    /// What larger outputs become, behind ReLU. Files of before have none.
    #[serde(default)]
    pub most: Option<f32>,
}

impl After {
    /// The place of the residual among the inputs.
    pub fn residual_at(self) -> Option<usize> {
        self.residual.then_some(2 + usize::from(self.bias))
    }

    pub fn bounds(self) -> Bounds {
        Bounds {
            relu: self.relu,
            most: self.most,
        }
    }

    pub fn inputs(self) -> usize {
        2 + usize::from(self.bias) + usize::from(self.residual)
    }
}

/// Windows over rows and columns; one row for tensors with one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Window {
    pub kernel: [usize; 2],
    pub stride: [usize; 2],
    /// Before; what is behind follows from the sizes.
    pub padding: [usize; 2],
    pub dilation: [usize; 2],
}

impl Operation {
    /// The field's name.
    pub fn name(&self) -> String {
        let name = match self {
            Self::Conv { after, .. } => return with("Conv", *after),
            Self::ConvTranspose { after, .. } => return with("ConvTranspose", *after),
            Self::Linear { after } => return with("Linear", *after),
            Self::MatMul => "MatMul",
            Self::Attention { .. } => "Attention",
            Self::Map(program) => return names(program),
            Self::Broadcast(function) => return format!("{function:?}"),
            Self::Channels { relu: true } => "BatchNorm + Relu",
            Self::Channels { relu: false } | Self::BatchNorm { .. } => "BatchNorm",
            Self::LayerNorm { centred: true, .. } => "LayerNorm",
            Self::LayerNorm { centred: false, .. } => "RmsNorm",
            Self::GroupNorm { .. } => "GroupNorm",
            Self::Softmax {
                logarithm: false, ..
            } => "Softmax",
            Self::Softmax {
                logarithm: true, ..
            } => "LogSoftmax",
            Self::MaxPool { .. } => "MaxPool",
            Self::AveragePool { .. } => "AveragePool",
            Self::Reduce { mean: true, .. } => "Mean",
            Self::Reduce { mean: false, .. } => "Sum",
            Self::Reshape => "Reshape",
            Self::Permute { .. } => "Permute",
            Self::Slice { .. } => "Slice",
            Self::Expand => "Expand",
            Self::Concat { .. } => "Concat",
            Self::Pad { .. } => "Pad",
            Self::Assign { .. } => "Assign",
            Self::Embedding => "Embedding",
            Self::Burn(json) => return burn_name(json),
        };
        name.to_string()
    }

    /// What follows a product, if it is one.
    pub fn after_mut(&mut self) -> Option<&mut After> {
        match self {
            Self::Conv { after, .. } | Self::ConvTranspose { after, .. } => Some(after),
            Self::Linear { after } => Some(after),
            _ => None,
        }
    }

    pub fn after(&self) -> Option<After> {
        match self {
            Self::Conv { after, .. } | Self::ConvTranspose { after, .. } => Some(*after),
            Self::Linear { after } => Some(*after),
            _ => None,
        }
    }
}

fn with(name: &str, after: After) -> String {
    let add = if after.residual { " + Add" } else { "" };
    let relu = if after.relu { " + Relu" } else { "" };
    let most = after
        .most
        .map_or(String::new(), |most| format!(" ≤ {most}"));
    format!("{name}{add}{relu}{most}")
}

fn names(program: &[Instruction]) -> String {
    let name = |instruction: &Instruction| match instruction {
        Instruction::Unary(function, _) => {
            let name = format!("{function:?}");
            name.split(' ').next().unwrap_or_default().to_string()
        }
        Instruction::Binary(function, ..) => format!("{function:?}"),
    };
    program.iter().map(name).collect::<Vec<_>>().join(" + ")
}

/// The innermost name of burn's operation: `Interpolate` of `{"Module":{"Interpolate":{…}}}`.
fn burn_name(json: &str) -> String {
    let names = json.split('"').skip(1).step_by(2);
    let is_variant = |name: &&str| name.starts_with(|first: char| first.is_ascii_uppercase());
    let variants = names.take_while(is_variant);
    variants.last().unwrap_or("?").to_string()
}
