//! One tensor for a whole vector, so that arithmetic costs a device as few operations as it would
//! for one parameter.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use burn::module::ParamId;
use burn::tensor::{Int, Tensor};

use super::on_host;

/// Where each parameter's component is in a joined vector.
#[derive(Debug, Default)]
pub(crate) struct Layout {
    /// In the module's order.
    places: Vec<(ParamId, Range<usize>)>,
    by_id: HashMap<ParamId, usize>,
}

/// Powers of two up to this one count: 128 numbers are 512 bytes in f32, where burn's CUDA backend
/// lets a tensor begin in another one's memory. Through wgpu it is 256 bytes at most.
const ALIGNED: u32 = 7;

impl Layout {
    /// Sizes with the largest power of two in them first, then the others.
    ///
    /// So each component begins at a multiple of the power that is in its size, and is a view of
    /// the vector's memory where the device allows that, not a copy.
    pub fn new(sizes: impl IntoIterator<Item = (ParamId, usize)>) -> Self {
        let mut places: Vec<_> = sizes.into_iter().map(|(id, size)| (id, 0..size)).collect();
        let mut order: Vec<usize> = (0..places.len()).collect();
        let power = |index: &usize| places[*index].1.len().trailing_zeros().min(ALIGNED);
        order.sort_by_key(|index| Reverse(power(index)));
        let mut end = 0;
        for index in order {
            let place = &mut places[index].1;
            *place = end..end + place.len();
            end = place.end;
        }
        let ids = places.iter().enumerate();
        Self {
            by_id: ids.map(|(index, (id, _))| (*id, index)).collect(),
            places,
        }
    }

    /// The parameters with the number of their elements.
    pub fn sizes(&self) -> impl Iterator<Item = (ParamId, usize)> {
        self.places.iter().map(|(id, place)| (*id, place.len()))
    }

    /// The indices of parameters, as they follow each other in the vector.
    fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.places.len()).collect();
        order.sort_by_key(|index| (self.places[*index].1.start, self.places[*index].1.end));
        order
    }

    /// Where a parameter's component begins.
    ///
    /// # Panics
    ///
    /// If it has none.
    pub fn start(&self, id: ParamId) -> usize {
        self.places[self.by_id[&id]].1.start
    }

    /// Number of elements of all.
    pub fn len(&self) -> usize {
        self.places.iter().map(|(_, place)| place.len()).sum()
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.places == other.places
    }
}

/// How many tensors are joined at once: one kernel where a device has room for as many buffers,
/// else a copy of each. For the 101 of a ResNet-32 an H200 takes 0.4 ms by 32, and 1.4 ms all at
/// once.
const GROUP: usize = 32;

/// A vector in one piece, on a device of its own memory.
///
/// There a parameter's own arithmetic costs more in launches than in numbers. On the host it would
/// cost a copy.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    pub layout: Arc<Layout>,
    pub tensor: Tensor<1>,
}

impl Joined {
    /// Components in one piece; `None` on the host, where that gains nothing, and where they differ
    /// in device or float type.
    pub fn of(parts: &[(ParamId, Tensor<1>)]) -> Option<Self> {
        let (_, first) = parts.first()?;
        let (device, kind) = (first.device(), first.dtype());
        let fits = |tensor: &Tensor<1>| tensor.dtype() == kind && tensor.device() == device;
        if on_host(&device) || !parts.iter().all(|(_, tensor)| fits(tensor)) {
            return None;
        }
        let layout = Layout::new(parts.iter().map(|(id, tensor)| (*id, tensor.dims()[0])));
        let ordered = layout
            .order()
            .into_iter()
            .map(|index| parts[index].1.clone());
        let mut tensors: Vec<_> = ordered.collect();
        while tensors.len() > 1 {
            let groups = tensors.chunks(GROUP);
            tensors = groups.map(|group| Tensor::cat(group.to_vec(), 0)).collect();
        }
        Some(Self {
            layout: Arc::new(layout),
            tensor: tensors.pop()?,
        })
    }

    /// The component of one parameter.
    pub fn get(&self, id: ParamId) -> Option<Tensor<1>> {
        let place = *self.layout.by_id.get(&id)?;
        Some(self.slice(&self.layout.places[place].1))
    }

    /// The components.
    ///
    /// burn's GPU backends make a slice without a kernel, as a view, if the numbers before it and
    /// those behind it are multiples of the device's alignment: hence zeros at the end.
    pub fn iter(&self) -> impl Iterator<Item = (ParamId, Tensor<1>)> {
        let rest = self.layout.len().next_multiple_of(1 << ALIGNED) - self.layout.len();
        let mut whole = self.clone();
        if rest > 0 {
            let kind = (&self.tensor.device(), self.tensor.dtype());
            whole.tensor = Tensor::cat(vec![whole.tensor, Tensor::zeros([rest], kind)], 0);
        }
        let layout = self.layout.clone();
        (0..layout.places.len()).map(move |index| {
            let (id, place) = &layout.places[index];
            (*id, whole.slice(place))
        })
    }

    fn slice(&self, place: &Range<usize>) -> Tensor<1> {
        self.tensor.clone().slice([place.clone()])
    }

    /// The same function of every element.
    pub fn map(self, f: impl FnOnce(Tensor<1>) -> Tensor<1>) -> Self {
        Self {
            tensor: f(self.tensor),
            ..self
        }
    }

    /// Some elements, as another vector.
    pub fn gather(self, positions: Tensor<1, Int>, layout: Arc<Layout>) -> Self {
        Self {
            tensor: self.tensor.select(0, positions),
            layout,
        }
    }

    /// The inverse: `sources` says for each element of the larger vector where it comes from, one
    /// past the end for zero.
    ///
    /// Not by an assignment at positions, which burn's GPU backends make one after another, in one
    /// thread.
    pub fn scatter(self, sources: Tensor<1, Int>, layout: Arc<Layout>) -> Self {
        let kind = (&self.tensor.device(), self.tensor.dtype());
        let tensor = Tensor::cat(vec![self.tensor, Tensor::zeros([1], kind)], 0);
        Self {
            tensor: tensor.select(0, sources),
            layout,
        }
    }

    /// Whether two vectors of one layout can be computed with, element by element.
    pub fn matches(&self, other: &Self) -> bool {
        self.layout == other.layout
            && self.tensor.dtype() == other.tensor.dtype()
            && self.tensor.device() == other.tensor.device()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    /// Of a network as networks are: biases of a few classes between weights of round sizes.
    #[test]
    fn components_begin_at_multiples_of_the_power_in_their_sizes() {
        let sizes = [864, 32, 10, 27, 9216, 1280, 64, 1, 0, 128];
        let sizes = sizes.map(|size| (ParamId::new(), size));
        let layout = Layout::new(sizes);
        assert_eq!(layout.sizes().collect::<Vec<_>>(), sizes);
        let whole = layout.len().next_multiple_of(1 << ALIGNED);
        let mut taken = vec![false; layout.len()];
        for (id, size) in sizes {
            let start = layout.start(id);
            taken[start..start + size].iter_mut().for_each(|is| {
                assert!(!*is, "components lie apart");
                *is = true;
            });
            if size > 0 {
                let power = 1 << size.trailing_zeros().min(ALIGNED);
                assert_eq!([start % power, (whole - start - size) % power], [0, 0]);
            }
        }
        assert!(taken.into_iter().all(|is| is), "and leave no gap");
    }

    /// A forecast adds up gradients: none of them is cut into components.
    #[test]
    #[cfg(not(feature = "ndarray"))]
    #[allow(deprecated, reason = "burn-ndarray stands for a GPU here")]
    fn a_sum_that_begins_with_nothing_stays_in_one_piece() {
        use crate::tree::ParamVector;
        let device = Device::ndarray();
        let mut parts = ParamVector::default();
        for size in [3, 4] {
            parts.push(ParamId::new(), Tensor::ones([size], &device));
        }
        let gradient = parts.scaled(2.0);
        let sum = ParamVector::default().plus_scaled(&gradient, 0.5);
        let sum = sum.plus_scaled(&gradient, 1.0);
        let joined = sum.if_joined().expect("it is in one piece");
        let values: Vec<f32> = joined.tensor.to_data().iter::<f32>().collect();
        assert_eq!(values, [3.0; 7]);
        let first = ParamVector::default().plus_scaled(&gradient, 0.5);
        assert!(first.if_joined().is_some(), "from the first term on");
    }
}
