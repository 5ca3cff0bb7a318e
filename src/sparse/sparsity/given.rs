//! First masks that are given, not chosen.

use std::collections::HashMap;

use burn::module::{Module, ParamId};

use super::Sparsity;
use super::first::First;
use super::given_masks::{check_given, given_sets};
use super::weights::read_weights;
use crate::error::Result;
use crate::masks::{LiveSet, Masks};
use crate::sparse::Keep;
use crate::tree::{self, Leaf};

impl Sparsity {
    /// Given masks, which never change: fine-tuning a sparse net. [`Keep`] with
    /// [`starting_from`](Self::starting_from).
    ///
    /// Masks are those of a [model file](crate::model_file::load_model), of another `Sparsity`, or
    /// [a model's zeros](Masks::from_nonzeros).
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::{Linear, LinearConfig}, tensor::Device};
    /// use zosam::{Sparsity, Snip};
    /// let device = Device::flex().autodiff();
    /// let layer = LinearConfig::new(20, 10).init(&device);
    /// let loss = |layer: &Linear| layer.weight.val().powi_scalar(2).sum();
    /// let mut pruned = Sparsity::new(Snip::new(0.9));
    /// let layer = pruned.attach(layer, loss)?;
    ///
    /// let mut kept = Sparsity::from_masks(pruned.masks().clone());
    /// let layer = kept.attach(layer, loss)?;
    /// assert_eq!(kept.masks().fingerprint(), pruned.masks().fingerprint());
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    pub fn from_masks(masks: Masks) -> Self {
        Self::new(Keep::new()).starting_from(masks)
    }

    /// Starts from given masks, not from first ones that the method chooses. Its changes of masks
    /// follow as usual, with a schedule that counts from the attach.
    ///
    /// * Masks belong to weights by parameter id or, in another model of the same layers, by path.
    ///   They say which weights are sparse, frozen ones included; all others are dense. With a
    ///   [group](Self::with_group) every mask has to be of the group, and weights of the group
    ///   without a mask begin with all of theirs live.
    /// * The masks decide how many weights of each layer live, not the method's distribution. Over
    ///   all layers the number of live weights at the method's sparsity has to be within 5 % of
    ///   that of the masks. A method that prunes during training may also end sparser.
    /// * Methods that share one budget out anew ([`Snfs`](crate::Snfs),
    ///   [`Dsr`](crate::Dsr)) or go by bounds ([`Mest`](crate::Mest),
    ///   [`GradualMagnitude`](crate::GradualMagnitude),
    ///   [`LotteryTicket`](crate::LotteryTicket), [`TopKast`](crate::TopKast)) come
    ///   to their own counts when they change masks. The others keep those of the masks.
    /// * Granularities and densities of single layers have to be those of the masks.
    ///
    /// [`attach`](Self::attach) checks all this, evaluates no loss, and refuses methods that choose
    /// their masks once ([`Snip`](crate::Snip) and the like), which would have nothing to
    /// choose: [`Keep`] is for that.
    ///
    /// ```
    /// # #[cfg(feature = "flex")] {
    /// use burn::{nn::{Linear, LinearConfig}, tensor::Device};
    /// use zosam::{RigL, Set, Sparsity, masks::Masks};
    /// let device = Device::flex().autodiff();
    /// let layer = LinearConfig::new(20, 10).init(&device);
    /// let loss = |layer: &Linear| layer.weight.val().powi_scalar(2).sum();
    /// let mut first = Sparsity::new(Set::new(0.9).every(100).until(1000));
    /// let layer = first.attach(layer, loss)?;
    ///
    /// let masks = Masks::from_nonzeros(&layer);
    /// let mut second = Sparsity::new(RigL::new(0.9).until(1000)).starting_from(masks);
    /// let layer = second.attach(layer, loss)?;
    /// assert_eq!(second.masks().fingerprint(), first.masks().fingerprint());
    /// # }
    /// # Ok::<(), zosam::Error>(())
    /// ```
    pub fn starting_from(mut self, masks: Masks) -> Self {
        self.given = Some(masks);
        self
    }

    /// The masks that were given, for the weights that they are about.
    pub(super) fn given_masks<M: Module>(&mut self, model: &M, given: Masks) -> Result<First> {
        let (leaves, live) = given_sets(model, &given, self.group.as_ref())?;
        let rules = self.rules.settle(&leaves, &self.plan)?;
        let sets = leaves.iter().zip(&live);
        let sets: HashMap<ParamId, &LiveSet> = sets.map(|(leaf, live)| (leaf.id, live)).collect();
        let live_now = |leaf: &Leaf| sets.get(&leaf.id).map(|live| LiveSet::clone(live));
        let weights = read_weights(&tree::float_values(model), &leaves, &rules, live_now)?;
        self.method.start_from(&weights)?;
        check_given(&leaves, &rules, &live, self.method.as_ref())?;
        self.method.check_budget(&weights)?;
        Ok(First {
            leaves,
            rules,
            live,
        })
    }
}
