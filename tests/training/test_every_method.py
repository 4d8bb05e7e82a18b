"""What every method promises: one file for all of ``training/methods``."""

import re

import numpy as np
import pytest
import torch

from evaluation.errors import InputError
from tests.training.synthetic import CONTRACT, VARIANTS, images, small, variant_id
from training.checkpoint import read_weights, write_weights
from training.fit import fit
from training.imaging import InputContract
from training.loader import from_pixels
from training.method import METHODS, Batch, make_method

CPU = torch.device("cpu")
TRAIN, VALIDATION = np.arange(36), np.arange(36, 50)

every_variant = pytest.mark.parametrize(
    ("name", "settings"), VARIANTS, ids=[variant_id(variant) for variant in VARIANTS]
)


def batch_of(n=12, classes=2):
    pixels, label = images(n, classes)
    return Batch(from_pixels(pixels, CPU)(np.arange(n)), torch.from_numpy(label))


def fitted(name, settings, **options):
    method = small(name, **settings)
    pixels, label = images()
    history = fit(method, pixels, label, train=TRAIN, validation=VALIDATION, seed=0, **options)
    return method, history


@every_variant
@pytest.mark.parametrize("mode", [True, False], ids=["train", "eval"])
def test_losses_are_finite_scalars_with_a_total(name, settings, mode):
    method, batch = small(name, **settings).train(mode), batch_of()
    stages = method.stages()
    for stage in stages:
        image = stage.features(batch.image) if stage.features else batch.image
        losses = stage.losses(Batch(image, batch.label))
        assert "total" in losses
        assert all(loss.shape == () and torch.isfinite(loss) for loss in losses.values())
    assert method.losses(batch).keys() == stages[0].losses(batch).keys()


@every_variant
def test_every_parameter_has_a_gradient_after_the_stages(name, settings):
    method, moved = small(name, **settings), set()
    for parameter_name, parameter in method.named_parameters():
        parameter.register_post_accumulate_grad_hook(
            lambda p, key=parameter_name: moved.add(key) if p.grad.any() else None
        )
    pixels, label = images()
    fit(method, pixels, label, train=TRAIN, validation=VALIDATION, seed=0)
    assert {key for key, _ in method.named_parameters()} - moved == set()


@every_variant
@pytest.mark.parametrize("classes", [2, 4])
def test_shapes(name, settings, classes):
    method, batch = small(name, classes=classes, **settings).eval(), batch_of(5, classes)
    content, style = method.embed(batch.image)
    assert method.logits(batch.image).shape == (5, classes)
    assert content.shape[0] == 5
    assert content.ndim == 2
    assert style is None or style.shape[0] == 5


@every_variant
def test_same_seed_same_weights_and_other_seed_other_weights(name, settings):
    state = torch.get_rng_state()
    first, second, other = (small(name, seed=seed, **settings) for seed in (1, 1, 2))
    assert torch.get_rng_state().equal(state)
    states = [method.state_dict() for method in (first, second, other)]
    assert all(states[0][key].equal(states[1][key]) for key in states[0])
    assert not all(states[0][key].equal(states[2][key]) for key in states[0])


@every_variant
def test_saved_and_loaded_gives_the_same_outputs(tmp_path, name, settings):
    method, _ = fitted(name, settings)
    write_weights(tmp_path / "weights.safetensors", method)
    loaded = small(name, seed=9, **settings).eval()
    loaded.to(memory_format=torch.channels_last)
    read_weights(tmp_path / "weights.safetensors", loaded)
    image = batch_of().image
    with torch.no_grad():
        assert method.logits(image).equal(loaded.logits(image))
        assert method.embed(image).content.equal(loaded.embed(image).content)


@every_variant
def test_prediction_does_not_depend_on_batch_mates(name, settings):
    method, _ = fitted(name, settings)
    image = batch_of().image
    with torch.no_grad():
        alone = torch.cat([method.logits(image[i : i + 1]) for i in range(len(image))])
        torch.testing.assert_close(method.logits(image), alone, rtol=1e-4, atol=1e-5)


@every_variant
def test_the_loss_falls_and_the_problem_is_learnt(name, settings):
    epochs = (
        {"epochs": 12}
        if name in ("erm", "lam")
        else {
            "representation_epochs": 12,
            "classifier_epochs": 40,
            "classifier_learning_rate": 3e-3,
        }
    )
    _, history = fitted(name, settings | epochs)
    for _, stage in history.table.groupby("stage"):
        assert stage["total"].iloc[-1] < stage["total"].iloc[0]
    assert history.table["validation_auroc"].max() > 0.9


@every_variant
@pytest.mark.parametrize(
    "label", [[0, 0, 0, 0], [0, 1], [1, 1]], ids=["one class", "two", "pair"]
)
def test_small_and_one_class_batches_do_not_crash(name, settings, label):
    method = small(name, **settings).train()
    batch = Batch(batch_of(len(label)).image, torch.tensor(label))
    for stage in method.stages():
        features = stage.features(batch.image).detach() if stage.features else batch.image
        losses = method.update(stage, Batch(features, batch.label), stage.optimizers())
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert not any(loss.requires_grad for loss in losses.values())
    assert all(torch.isfinite(parameter).all() for parameter in method.parameters())


@pytest.mark.parametrize("name", METHODS.names())
def test_the_docstring_cites_its_source(name):
    text = METHODS.get(name).__doc__ or ""
    assert re.search(r"References:.*(arXiv:\d{4}\.\d{5}|doi:10\.)", text, re.DOTALL)


@pytest.mark.parametrize("name", METHODS.names())
def test_settings_have_defaults_and_refuse_unknown_keys(name):
    method = make_method(name, {}, CONTRACT, classes=2, seed=0)
    assert method.settings_type()
    with pytest.raises(InputError, match="'batch_size'"):
        make_method(name, {"batchsize": 3}, CONTRACT, classes=2, seed=0)


@pytest.mark.parametrize("name", METHODS.names())
def test_a_size_that_the_named_network_cannot_read_is_refused(name):
    contract = CONTRACT.model_copy(update={"size": 32})
    with pytest.raises(InputError, match="28 and 64"):
        make_method(name, {"network": "paper"}, contract, classes=2, seed=0)


def test_volumes_are_trained():
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (12, 2, 8, 8, 8), np.uint8)
    contract = InputContract(size=8, channels=2, dimensions=3)
    values = {"representation_epochs": 1, "classifier_epochs": 1, "batch_size": 6}
    method = make_method("clear_vae", values, contract, classes=2, seed=0)
    rows = np.arange(12)
    history = fit(method, pixels, rows % 2, train=rows, validation=rows, seed=0)
    assert np.isfinite(history.table["total"]).all()


@pytest.mark.parametrize("name", METHODS.names())
@pytest.mark.parametrize("dimensions", [2, 3])
def test_other_sizes_and_volumes_take_a_network_of_monai(name, dimensions):
    contract = InputContract(size=16, channels=2, dimensions=dimensions)
    method = make_method(name, {}, contract, classes=2, seed=0).eval()
    assert method.settings.network == {2: "resnet18", 3: "resnet10"}[dimensions]
    image = torch.rand(2, *contract.shape)
    content, style = method.embed(image)
    decoded = method.decode(content, style)
    assert method.logits(image).shape == (2, 2)
    assert decoded is None or decoded.shape == image.shape


def test_an_unknown_method_names_the_nearest():
    with pytest.raises(InputError, match="Did you mean 'erm'"):
        make_method("emr", {}, CONTRACT, classes=2, seed=0)


def test_odd_latent_dimension_is_refused():
    with pytest.raises(InputError, match="must be even"):
        make_method("gvae", {"total_z_dim": 15}, CONTRACT, classes=2, seed=0)


@pytest.mark.parametrize("size", [28, 64])
def test_defaults_of_the_paper_by_size(size):
    contract = CONTRACT.model_copy(update={"size": size})
    settings = make_method("clear_vae", {}, contract, classes=2, seed=0).settings
    expected = {28: (16, 1 / 8, 5e-4), 64: (64, 1 / 32, 1e-4)}[size]
    assert (settings.total_z_dim, settings.beta, settings.learning_rate) == expected
    assert (settings.alpha, settings.temperature, settings.batch_size) == (100, 0.1, 128)
    assert (settings.representation_epochs, settings.classifier_epochs) == (41, 41)


def test_a_given_setting_wins_over_the_default_of_the_size():
    settings = make_method("ml_vae", {"beta": 0.0}, CONTRACT, classes=2, seed=0).settings
    assert settings.beta == 0
    assert settings.total_z_dim == 16


def test_annealing_starts_at_half_and_counts_steps_of_the_autoencoder_only():
    method = small("clear_vae")
    assert method.beta().item() == pytest.approx(1 / 16)
    pixels, label = images()
    fit(method, pixels, label, train=TRAIN, validation=VALIDATION, seed=0)
    assert method.annealing_step.item() == 3 * 3  # 3 epochs of 36 rows, 16 a batch
    assert method.beta().item() == pytest.approx(1 / 8, rel=1e-3)


@pytest.mark.parametrize("name", ["ml_vae", "gvae"])
def test_group_methods_weigh_by_group_size_in_training_only(name):
    method, batch = small(name), batch_of(12)
    for training, size in ((True, 6), (False, 1)):
        method.train(training)
        losses = method.losses(batch)
        divergence = losses["kl_content"] + size * losses["kl_style"]
        expected = size * losses["reconstruction"] + method.beta() * divergence
        torch.testing.assert_close(losses["total"], expected)


def test_clear_vae_total_is_that_of_the_paper():
    method, batch = small("clear_vae"), batch_of()
    losses = method.losses(batch)
    divergence = losses["kl_content"] + losses["kl_style"]
    expected = losses["reconstruction"] + method.beta() * divergence
    expected = expected + 100 * losses["content_contrast"] + 100 * losses["style_penalty"]
    torch.testing.assert_close(losses["total"], expected)


def test_bounds_of_dependence_weigh_3():
    method, batch = small("clear_vae", style_penalty="l1out", alpha=0.0), batch_of()
    losses = method.losses(batch)
    divergence = losses["kl_content"] + losses["kl_style"]
    expected = losses["reconstruction"] + method.beta() * divergence
    torch.testing.assert_close(losses["total"], expected + 3 * losses["style_penalty"])
