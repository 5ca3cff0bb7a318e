//! Which axes of a weight count inputs, and which outputs.

use super::Leaf;

/// A weight as a matrix of outputs by inputs, the kernel of a convolution within its input channel.
///
/// burn keeps linear layers as `[inputs, outputs]`, convolutions as
/// `[outputs, inputs / groups, kernel…]` and transposed convolutions as
/// `[inputs, outputs / groups, kernel…]`. A weight of any other layer is taken for a linear layer's
/// if it has two axes, and else for a convolution's.
///
/// A weight does not tell the groups of its convolution. Of a grouped transposed one, `outputs` are
/// those of a group, and each row holds the weights of one output of every group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axes {
    pub outputs: usize,
    /// Input channels or features.
    pub channels: usize,
    /// Positions of the kernel, 1 without one.
    pub kernel: usize,
    inputs_first: bool,
}

impl Axes {
    /// The axes of a weight, by the type name of its layer and its shape.
    pub fn of(layer: &str, shape: &[usize]) -> Self {
        let inputs_first = shape.len() == 2 || layer.starts_with("ConvTranspose");
        let (outputs, channels, kernel) = match shape {
            [] => (1, 1, &[][..]),
            [outputs] => (*outputs, 1, &[][..]),
            [inputs, outputs, kernel @ ..] if inputs_first => (*outputs, *inputs, kernel),
            [outputs, inputs, kernel @ ..] => (*outputs, *inputs, kernel),
        };
        Self {
            outputs,
            channels,
            kernel: kernel.iter().product(),
            inputs_first,
        }
    }

    /// Columns of the matrix: the weights of an output.
    pub fn inputs(&self) -> usize {
        self.channels * self.kernel
    }

    /// Row and column of a position in the tensor.
    pub fn place(&self, position: usize) -> (usize, usize) {
        if !self.inputs_first {
            return (position / self.inputs(), position % self.inputs());
        }
        let (pair, offset) = (position / self.kernel, position % self.kernel);
        let (channel, output) = (pair / self.outputs, pair % self.outputs);
        (output, channel * self.kernel + offset)
    }
}

impl Leaf {
    /// The axes of the parameter, as a weight.
    pub(crate) fn axes(&self) -> Axes {
        Axes::of(&self.layer, &self.shape)
    }
}

#[cfg(test)]
mod tests {
    use super::Axes;

    #[test]
    fn axes_by_layer() {
        let axes = |layer, shape: &[usize]| {
            let axes = Axes::of(layer, shape);
            (axes.outputs, axes.channels, axes.kernel)
        };
        assert_eq!(axes("Linear", &[3, 5]), (5, 3, 1));
        assert_eq!(axes("Conv2d", &[5, 3, 2, 2]), (5, 3, 4));
        assert_eq!(axes("ConvTranspose1d", &[3, 5, 2]), (5, 3, 2));
        assert_eq!(axes("ConvTranspose3d", &[3, 5, 2, 2, 2]), (5, 3, 8));
        assert_eq!(axes("", &[7]), (7, 1, 1));
    }

    /// `[inputs, outputs, kernel]` and `[outputs, inputs, kernel]` put the same weight into the
    /// same place.
    #[test]
    fn places_agree() {
        let transposed = Axes::of("ConvTranspose1d", &[3, 5, 2]);
        let convolution = Axes::of("Conv1d", &[5, 3, 2]);
        for (input, output, offset) in
            (0..3).flat_map(|i| (0..5).flat_map(move |o| (0..2).map(move |k| (i, o, k))))
        {
            let place = (output, input * 2 + offset);
            assert_eq!(transposed.place((input * 5 + output) * 2 + offset), place);
            assert_eq!(convolution.place((output * 3 + input) * 2 + offset), place);
        }
    }
}
