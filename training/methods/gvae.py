"""GVAE: the content of a group is the mean of its members' posteriors."""

from training.gaussian import mean_posterior
from training.method import Batch, Losses
from training.vae import VaeMethod, VaeSettings


class Gvae(VaeMethod):
    """Group variational autoencoder: the images of a label in a batch share their content.

    The content posterior of a label averages the means and the variances of its images, and
    each image draws its own content from it.

    References:
        Hosoya (2019), *Group-based learning of disentangled representations with
        generalizability for novel contents*, arXiv:1809.02383.
    """

    settings_type = VaeSettings

    def losses(self, batch: Batch) -> Losses:
        """Evidence lower bound of the groups; see :meth:`VaeMethod.group_losses`."""
        return self.group_losses(batch, mean_posterior)
