//! A vector in parameter space.

use std::sync::{Arc, OnceLock};

use burn::module::ParamId;
use burn::tensor::{DType, FloatDType, Tensor};

use super::joined::Joined;
use super::{on_host, product};

/// A vector in parameter space: one flat component per trainable parameter, in the module's order.
///
/// Weights, gradients, random directions and perturbations are all of this type. Tensors are
/// detached and live on their parameters' devices.
///
/// A component has its parameter's float type, except that those of half-precision parameters are
/// kept in f32, so that norms, sums and scalings have its precision and its range. Sums of an f32
/// and an f64 component are in f64. What is written back into a model takes the parameter's own
/// type.
///
/// On the host the components are tensors of their own. On any other device arithmetic puts them
/// into one tensor first, so that it costs a few operations whatever the number of parameters;
/// there a component is a slice.
#[derive(Debug, Clone)]
pub struct ParamVector(Store);

#[derive(Debug, Clone)]
enum Store {
    /// A tensor per parameter, and all of them in one piece once an operation has asked for it;
    /// clones share that.
    Parts(Vec<(ParamId, Tensor<1>)>, Arc<OnceLock<Option<Joined>>>),
    Joined(Box<Joined>),
}

impl Default for ParamVector {
    fn default() -> Self {
        Self::of_parts(Vec::new())
    }
}

impl From<Joined> for ParamVector {
    fn from(joined: Joined) -> Self {
        Self(Store::Joined(Box::new(joined)))
    }
}

impl ParamVector {
    fn of_parts(parts: Vec<(ParamId, Tensor<1>)>) -> Self {
        Self(Store::Parts(parts, Arc::default()))
    }

    /// Appends the component that belongs to a parameter.
    pub fn push(&mut self, id: ParamId, component: Tensor<1>) {
        let mut parts = std::mem::take(self).into_parts();
        parts.push((id, wide(component)));
        *self = Self::of_parts(parts);
    }

    /// The components with their parameters' ids.
    pub fn iter(&self) -> impl Iterator<Item = (ParamId, Tensor<1>)> {
        let (parts, joined) = match &self.0 {
            Store::Parts(parts, _) => (Some(parts.iter().cloned()), None),
            Store::Joined(joined) => (None, Some(joined.iter())),
        };
        parts
            .into_iter()
            .flatten()
            .chain(joined.into_iter().flatten())
    }

    /// The component of one parameter.
    pub fn get(&self, id: ParamId) -> Option<Tensor<1>> {
        match &self.0 {
            Store::Parts(parts, _) => {
                let part = parts.iter().find(|(other, _)| *other == id);
                part.map(|(_, tensor)| tensor.clone())
            }
            Store::Joined(joined) => joined.get(id),
        }
    }

    /// The parameters that have a component, in order.
    pub(crate) fn ids(&self) -> Vec<ParamId> {
        match &self.0 {
            Store::Parts(parts, _) => parts.iter().map(|(id, _)| *id).collect(),
            Store::Joined(joined) => joined.layout.sizes().map(|(id, _)| id).collect(),
        }
    }

    /// Whether the vector has no component.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Store::Parts(parts, _) => parts.is_empty(),
            Store::Joined(joined) => joined.layout.len() == 0,
        }
    }

    /// Applies a function to each component.
    pub fn map(self, mut f: impl FnMut(ParamId, Tensor<1>) -> Tensor<1>) -> Self {
        let parts = self.into_parts().into_iter();
        Self::of_parts(parts.map(|(id, tensor)| (id, f(id, tensor))).collect())
    }

    /// Applies a function to each element: the same for all of them, of any number at once.
    pub fn map_elements(self, f: impl Fn(Tensor<1>) -> Tensor<1>) -> Self {
        match self.joined() {
            Some(joined) => joined.map(f).into(),
            None => self.map(|_, tensor| f(tensor)),
        }
    }

    /// Keeps the components whose parameter satisfies a predicate.
    pub fn filter(self, keep: impl Fn(ParamId) -> bool) -> Self {
        if self.ids().into_iter().all(&keep) {
            return self;
        }
        let mut parts = self.into_parts();
        parts.retain(|(id, _)| keep(*id));
        Self::of_parts(parts)
    }

    /// `factor · self`.
    pub fn scaled(self, factor: f64) -> Self {
        self.map_elements(|tensor| tensor.mul_scalar(factor))
    }

    /// `self + factor · other`, where `other` has the same parameters in the same order.
    ///
    /// # Panics
    ///
    /// Panics if the parameters differ, which means that the two vectors belong to different
    /// models.
    pub fn add_scaled(self, other: &Self, factor: f64) -> Self {
        if let Some(sum) = self.joined_sum(other, factor) {
            return sum;
        }
        let others = other.clone().into_parts();
        let parts = self.into_parts();
        assert_eq!(
            parts.len(),
            others.len(),
            "two parameter vectors of one model have the same parameters"
        );
        let pairs = parts.into_iter().zip(others);
        let sums = pairs.map(|((id, tensor), (other_id, component))| {
            assert_eq!(id, other_id, "components are in the same order");
            (id, sum(tensor, component.mul_scalar(factor)))
        });
        Self::of_parts(sums.collect())
    }

    /// `self + factor · other` for gradients: a parameter that one of the two lacks, because a loss
    /// did not depend on it, counts as zero there.
    pub(crate) fn plus_scaled(self, other: &Self, factor: f64) -> Self {
        if self.is_empty() {
            return other.clone().scaled(factor);
        }
        if let Some(sum) = self.joined_sum(other, factor) {
            return sum;
        }
        let mut parts = self.into_parts();
        for (id, component) in other.iter() {
            let term = component.mul_scalar(factor);
            match parts.iter_mut().find(|(own, _)| *own == id) {
                Some((_, own)) => *own = sum(own.clone(), term),
                None => parts.push((id, term)),
            }
        }
        Self::of_parts(parts)
    }

    /// `self + factor · other` in one piece, where both are or can be.
    pub(super) fn joined_sum(&self, other: &Self, factor: f64) -> Option<Self> {
        let (own, other) = (self.joined()?, other.joined()?);
        own.matches(&other)
            .then(|| own.map(|own| own + other.tensor.mul_scalar(factor)).into())
    }

    /// Inner product `⟨self, other⟩` over the parameters that both have.
    ///
    /// Reads one number from the device, which waits for it.
    pub fn dot(&self, other: &Self) -> f64 {
        if let Some(product) = self.product(other) {
            return product.into_scalar::<f64>();
        }
        let with = |(id, tensor)| other.get(id).map(|component| (tensor, component));
        let pairs: Vec<_> = self.iter().filter_map(with).collect();
        product::of(&pairs, std::ptr::eq(self, other))
    }

    /// [`dot`](Self::dot) with each of several vectors, with one wait for the device.
    pub(crate) fn dots(&self, others: &[&Self]) -> Vec<f64> {
        let on_device = |other: &&Self| self.product(other);
        match others.iter().map(on_device).collect::<Option<Vec<_>>>() {
            Some(products) => product::read(products),
            None => others.iter().map(|other| self.dot(other)).collect(),
        }
    }

    /// `⟨self, other⟩`, left on the device; `None` on the host, or where the two are not in one
    /// piece of one layout.
    pub(crate) fn product(&self, other: &Self) -> Option<Tensor<1>> {
        let (own, other) = (self.joined()?, other.joined()?);
        own.matches(&other)
            .then(|| (own.tensor * other.tensor).sum())
    }

    /// Euclidean norm of the concatenation of all components.
    ///
    /// Reads from the device, which waits for it.
    pub fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }

    /// Whether no component is infinite or not a number.
    ///
    /// Reads from the device, which waits for it.
    pub(crate) fn is_finite(&self) -> bool {
        match &self.0 {
            Store::Parts(parts, _) if parts.first().is_some_and(|(_, t)| on_host(&t.device())) => {
                parts.iter().all(|(_, part)| product::is_finite(part))
            }
            _ => self.norm().is_finite(),
        }
    }

    /// The vector in one piece, which is made once; `None` where it stays in parts.
    pub(crate) fn joined(&self) -> Option<Joined> {
        match &self.0 {
            Store::Parts(parts, joined) => joined.get_or_init(|| Joined::of(parts)).clone(),
            Store::Joined(joined) => Some((**joined).clone()),
        }
    }

    /// The vector with its components at hand: where it is in one piece they are cut out now, all
    /// of them, and the piece is kept, too.
    ///
    /// A slice among other operations breaks up what burn would have fused.
    pub(crate) fn cut(self) -> Self {
        match self.0 {
            Store::Joined(joined) => Self(Store::Parts(
                joined.iter().collect(),
                Arc::new(OnceLock::from(Some(*joined))),
            )),
            parts => Self(parts),
        }
    }

    /// The vector itself, in one piece where it can be.
    pub(crate) fn whole(self) -> Self {
        match self.joined() {
            Some(joined) => joined.into(),
            None => self,
        }
    }

    /// The vector in one piece, if that is how it is kept.
    pub(crate) fn if_joined(&self) -> Option<Joined> {
        match &self.0 {
            Store::Parts(..) => None,
            Store::Joined(joined) => Some((**joined).clone()),
        }
    }

    fn into_parts(self) -> Vec<(ParamId, Tensor<1>)> {
        match self.0 {
            Store::Parts(parts, _) => parts,
            Store::Joined(joined) => joined.iter().collect(),
        }
    }
}

/// Half-precision tensors as f32, others as they are.
pub(super) fn wide<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    match tensor.dtype() {
        DType::F16 | DType::BF16 => tensor.cast(FloatDType::F32),
        _ => tensor,
    }
}

/// Two tensors in the wider of their float types.
pub(super) fn aligned(a: Tensor<1>, b: Tensor<1>) -> (Tensor<1>, Tensor<1>) {
    if a.dtype() == b.dtype() {
        return (a, b);
    }
    let kind = match is_double(&a) || is_double(&b) {
        true => FloatDType::F64,
        false => FloatDType::F32,
    };
    (a.cast(kind), b.cast(kind))
}

fn sum(a: Tensor<1>, b: Tensor<1>) -> Tensor<1> {
    let (a, b) = aligned(a, b);
    a + b
}

pub(super) fn is_double(tensor: &Tensor<1>) -> bool {
    tensor.dtype() == DType::F64
}
