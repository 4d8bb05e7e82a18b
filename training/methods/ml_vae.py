"""ML-VAE: the content of a group is the product of its members' posteriors."""

from training.gaussian import product_posterior
from training.method import Batch, Losses
from training.vae import VaeMethod, VaeSettings


class MlVae(VaeMethod):
    """Multi-level variational autoencoder: images of a label in a batch share their content.

    The content posterior of a label is the normalised product of the Gaussians of its images,
    and each image draws its own content from it.

    References:
        Bouchacourt, Tomioka and Nowozin (2018), *Multi-level variational autoencoder: learning
        disentangled representations from grouped observations*, arXiv:1705.08841.
    """

    settings_type = VaeSettings

    def losses(self, batch: Batch) -> Losses:
        """Evidence lower bound of the groups; see :meth:`VaeMethod.group_losses`."""
        return self.group_losses(batch, product_posterior)
