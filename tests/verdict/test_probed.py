"""From facts to findings: each kind of defect is told apart, and what was not examined is doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smforge.arch.requirement import parse_requirements
from smforge.arch.target import Target
from smforge.findings import Finding, Level, Outcome
from smforge.inventory.jit_tools.records import Assembler, HostFiles, Source
from smforge.inventory.probing.reading import read_folder
from smforge.inventory.probing.records import (
    Assembly,
    AssemblyNotes,
    AssemblySettings,
    Document,
    ExtensionNotes,
    Extensions,
    ExtensionSettings,
    Frame,
    How,
    Item,
    KernelNotes,
    Kernels,
    ModelNotes,
    Models,
    ModelSettings,
    NoSettings,
    Probed,
    Provider,
    Raised,
    Serving,
    ServingNotes,
)
from smforge.inventory.records import FileInventory, Inventory
from smforge.verdict.judge import judge
from smforge.verdict.reading import Reading
from smforge.verdict.records import Verdict
from smforge.verdict.request import AuditRequest

RECORDED = Path(__file__).parent / "data" / "probes"
MODEL = "vllm/model_executor/models/new.py"
NO_DRIVER = "Found no NVIDIA driver on your system. Please check it."
TRITON = "/usr/lib/python3/dist-packages/triton/backends/nvidia/bin/ptxas"

Judge = Callable[..., Verdict]


def document(name: str, settings: object, *items: Item, **more: object) -> Document:  # type: ignore[type-arg]
    """What a probe writes that came to its end."""
    fields: dict[str, object] = {
        "schema_version": 1,
        "probe": name,
        "python": "3.12.3",
        "prefix": "/usr",
        "seconds": 1.0,
        "devices": ("12.1",),
        "there": True,
        "packages": {},
        "settings": settings,
        "failure": None,
        "ended": None,
        "said": "",
        "items": items,
        "not_examined": (),
    }
    return Document(**{**fields, **more})  # type: ignore[arg-type]


def models(*items: Item[ModelNotes], **more: object) -> Models:
    return document(
        "models", ModelSettings(True, "UnspecifiedPlatform", ("numpy",)), *items, **more
    )


def extensions(*items: Item[ExtensionNotes], **more: object) -> Extensions:
    return document("extensions", ExtensionSettings(stand_in=True), *items, **more)


def assembly(*items: Item[AssemblyNotes], **more: object) -> Assembly:
    return document("ptxas", AssemblySettings(("triton",)), *items, **more)


def kernels(*items: Item[KernelNotes], **more: object) -> Kernels:
    return document("flashinfer", NoSettings(), *items, **more)


def raised(
    message: str, *frames: tuple[str, int], kind: str = "RuntimeError", name: str = ""
) -> Raised:
    places = tuple(Frame(file, line, "f") for file, line in frames)
    return Raised(kind, message, name or None, places)


def model(
    name: str,
    *failure: Raised,
    how: How = How.ALONE,
    ended: str | None = None,
    cuda: tuple[tuple[Frame, ...], ...] = (),
) -> Item[ModelNotes]:
    notes = ModelNotes("vllm.model_executor.models.new", name, cuda)
    return Item(name, how, 1.0, notes, failure or None, ended)


def library(path: str, message: str | None = None, **more: str | None) -> Item[ExtensionNotes]:
    failure = None if message is None else (raised(message, kind="OSError"),)
    notes = ExtensionNotes(without_driver=more.get("without_driver"))
    return Item(path, How.ALONE, 1.0, notes, failure, more.get("ended"))


def serving(*items: Item[ServingNotes], **more: object) -> Serving:
    return document("serving", NoSettings(), *items, **more)


def tried(
    item: str, *failure: Raised, how: How = How.ALONE, ended: str | None = None, **notes: object
) -> Item[ServingNotes]:
    return Item(item, how, 1.0, ServingNotes(**notes), failure or None, ended)  # type: ignore[arg-type]


NOTHING = Probed(models(), extensions(), assembly(), kernels(), serving())
NO_GPU = raised("Failed to infer device type, please set the environment variable …")


@pytest.fixture
def judged(
    make_file: Callable[..., FileInventory], make_inventory: Callable[..., Inventory]
) -> Judge:
    """Judges an image with one library for 12.1 by what its probes wrote."""

    def look(
        probed: Probed,
        require: str = "12.1",
        file: str = "site-packages/vllm/_C.abi3.so",
        host_files: HostFiles = HostFiles(),  # noqa: B008 - it is frozen
        needed: tuple[str, ...] = (),
    ) -> Verdict:
        inventory = make_inventory(make_file(file, (("sm_120", ("k",)),), needed=needed))
        return judge(
            Reading(inventory, host_files=host_files, probed=probed),
            AuditRequest(parse_requirements([require])),
        )

    return look


def only(verdict: Verdict, rule: str) -> Finding:
    (finding,) = [one for one in verdict.findings if one.rule == rule]
    return finding


class TestModels:
    def test_touching_cuda_names_module_and_line(self, judged: Judge) -> None:
        place = ("torch/cuda/__init__.py", 500)
        failure = raised(NO_DRIVER, (MODEL, 3), (MODEL, 12), place)
        verdict = judged(replace(NOTHING, models=models(model("A", failure), model("B", failure))))
        finding = only(verdict, "cuda-at-import")
        assert (finding.level, finding.file) == (Level.ERROR, MODEL)
        assert f"{MODEL}, line 12" in finding.message
        assert "2 architectures (A, B)" in finding.message
        assert "vllm.model_executor.models.new" in finding.message
        assert verdict.outcome is Outcome.FAIL

    def test_what_was_raised_instead_of_it_still_counts(self, judged: Judge) -> None:
        chain = raised("no kernels", (MODEL, 20)), raised(NO_DRIVER, (MODEL, 18))
        finding = only(
            judged(replace(NOTHING, models=models(model("A", *chain)))), "cuda-at-import"
        )
        assert "line 18" in finding.message

    def test_torch_is_known_by_its_function_too(self, judged: Judge) -> None:
        inside = Frame("torch/cuda/__init__.py", 9, "_lazy_init")
        failure = Raised("RuntimeError", "in other words", None, (Frame(MODEL, 4, "f"), inside))
        only(judged(replace(NOTHING, models=models(model("A", failure)))), "cuda-at-import")

    def test_catching_it_is_a_warning(self, judged: Judge) -> None:
        caught = model("A", cuda=((Frame(MODEL, 7, "<module>"), Frame("torch/x.py", 1, "f")),))
        verdict = judged(replace(NOTHING, models=models(caught)))
        finding = only(verdict, "cuda-at-import")
        assert finding.level is Level.WARNING
        assert f"{MODEL}, line 7" in finding.message
        assert verdict.outcome is Outcome.PASS

    def test_a_plugin_is_named_by_its_own_package(self, judged: Judge) -> None:
        failure = raised(NO_DRIVER, ("vllm/plugins.py", 1), ("plugin/model.py", 5))
        item = replace(model("A", failure), notes=ModelNotes("plugin.model", "A"))
        assert only(judged(replace(NOTHING, models=models(item))), "cuda-at-import").file == (
            "plugin/model.py"
        )

    @pytest.mark.parametrize(
        ("package", "rule"),
        [
            ("timm", "model-package-absent"),
            ("numpy.linalg", "model-not-importable"),
            ("vllm.absent", "model-not-importable"),
        ],
    )
    def test_an_absent_package(self, judged: Judge, package: str, rule: str) -> None:
        failure = raised("No module", (MODEL, 2), kind="ModuleNotFoundError", name=package)
        only(judged(replace(NOTHING, models=models(model("A", failure)))), rule)

    @pytest.mark.parametrize(
        ("version", "message", "rule"),
        [
            ("0.33.0.dev0+cu130.partial.22179f4b", "needs _vllm_fa2_C", "model-needs-extension"),
            ("0.33.0.dev0+cu130.partial.22179f4b", "needs a_C_b", "model-not-importable"),
            ("0.33.0+cu130", "needs _vllm_fa2_C", "model-not-importable"),
        ],
    )
    def test_an_extension_that_a_part_of_vllm_leaves_out(
        self, judged: Judge, version: str, message: str, rule: str
    ) -> None:
        failure = raised(message, (MODEL, 2), kind="ImportError")
        document = models(model("A", failure), packages={"vllm": version})
        only(judged(replace(NOTHING, models=document)), rule)

    def test_only_a_gpu_is_missing(self, judged: Judge) -> None:
        failure = raised("name 'x' is not defined", (MODEL, 2), kind="NameError")
        pair = model("A", failure), model("A", how=How.ASSUMING)
        verdict = judged(replace(NOTHING, models=models(*pair)))
        assert only(verdict, "model-needs-gpu").level is Level.NOTE
        assert verdict.outcome is Outcome.PASS

    def test_what_happens_alone_outweighs_what_happens_among_others(self, judged: Judge) -> None:
        failure = raised("after others", (MODEL, 2))
        pair = model("A", failure, how=How.TOGETHER), model("A")
        verdict = judged(replace(NOTHING, models=models(*pair)))
        assert {one.rule for one in verdict.findings} == {"probed"}

    def test_a_crash_is_certain_and_a_time_limit_is_doubt(self, judged: Judge) -> None:
        crashed = judged(replace(NOTHING, models=models(model("A", ended="SIGSEGV"))))
        assert "SIGSEGV" in only(crashed, "model-not-importable").message
        assert crashed.outcome is Outcome.FAIL
        late = judged(replace(NOTHING, models=models(model("A", ended="time limit of 3 s"))))
        assert "A" in only(late, "probe-failed").message
        assert late.outcome is Outcome.UNDETERMINED


class TestExtensions:
    @pytest.mark.parametrize(
        ("message", "told"),
        [
            ("libx.so.3: cannot open shared object file: No such file", "libx.so.3 is not found"),
            ("/a/b.so: undefined symbol: _ZN3c106detailE", "symbol c10::detail is not resolved"),
            ("/a/b.so: version `GLIBC_2.38' not found (required by it)", "GLIBC_2.38 is newer"),
            ("/a/b.so: file too short", "file too short"),
        ],
    )
    def test_the_reasons_are_told_apart(self, judged: Judge, message: str, told: str) -> None:
        item = library("/opt/site-packages/vllm/_C.abi3.so", message)
        verdict = judged(replace(NOTHING, extensions=extensions(item)))
        finding = only(verdict, "extension-not-loadable")
        assert told in finding.message
        assert finding.file == "site-packages/vllm/_C.abi3.so"
        assert verdict.outcome is Outcome.FAIL

    def test_a_crash_while_loading(self, judged: Judge) -> None:
        item = library("/opt/site-packages/a.so", ended="SIGABRT")
        finding = only(
            judged(replace(NOTHING, extensions=extensions(item))), "extension-not-loadable"
        )
        assert "SIGABRT" in finding.message

    def test_the_driver_alone_is_no_defect(self, judged: Judge) -> None:
        missing = "libcuda.so.1: cannot open shared object file: No such file or directory"
        found = extensions(library("/opt/site-packages/a.so", without_driver=missing))
        verdict = judged(replace(NOTHING, extensions=found))
        assert only(verdict, "extension-needs-driver").level is Level.NOTE
        assert verdict.outcome is Outcome.PASS
        found = extensions(library("/opt/site-packages/a.so", missing))
        warned = only(judged(replace(NOTHING, extensions=found)), "extension-needs-driver")
        assert warned.level is Level.WARNING
        assert "was not examined" in warned.message

    def test_one_of_several_builds_is_set_aside(self, judged: Judge) -> None:
        folder = "/opt/site-packages/torchcodec/libtorchcodec"
        refused = library(f"{folder}_core4.so", "libavutil.so.56: cannot open shared object file")
        verdict = judged(replace(NOTHING, extensions=extensions(refused)))
        finding = only(verdict, "extension-unused")
        assert "FFmpeg" in finding.message
        assert "none of the builds loads here" in finding.message
        assert finding.level is Level.WARNING
        assert verdict.outcome is Outcome.PASS
        both = extensions(refused, library(f"{folder}_core7.so"))
        assert only(judged(replace(NOTHING, extensions=both)), "extension-unused").level is (
            Level.NOTE
        )

    def test_a_plugin_may_need_whoever_loads_it(self, judged: Judge) -> None:
        plugin = library("/opt/site-packages/a.so", "/a.so: undefined symbol: ucs_load_modules")
        plugin = replace(plugin, notes=ExtensionNotes(module=False))
        verdict = judged(replace(NOTHING, extensions=extensions(plugin)))
        assert only(verdict, "extension-not-loadable").level is Level.WARNING
        assert verdict.outcome is Outcome.PASS

    def test_a_torch_that_cannot_be_imported(self, judged: Judge) -> None:
        found = replace(
            extensions(packages={"torch": "2.14.0"}),
            settings=ExtensionSettings(torch="ImportError: broken"),
        )
        finding = only(judged(replace(NOTHING, extensions=found)), "extension-not-loadable")
        assert "ImportError: broken" in finding.message

    def test_an_installed_library_that_the_probe_did_not_see_is_doubt(self, judged: Judge) -> None:
        verdict = judged(NOTHING, needed=("libcudart.so.13",))
        assert "site-packages/vllm/_C.abi3.so" in only(verdict, "probe-failed").message
        assert verdict.outcome is Outcome.UNDETERMINED
        seen = extensions(library("/usr/lib/site-packages/vllm/_C.abi3.so"))
        assert (
            judged(replace(NOTHING, extensions=seen), needed=("libcudart.so.13",)).outcome
            is Outcome.PASS
        )


class TestAssemblers:
    def item(self, **notes: object) -> Item[AssemblyNotes]:
        fields: dict[str, object] = {
            "compiler": "triton",
            "device": "12.1",
            "target": "sm_121a",
            "path": TRITON,
            "release": "12.8",
            "status": 255,
            "said": "info\nptxas fatal   : Value 'sm_121a' is not defined\n",
        }
        found = AssemblyNotes(**{**fields, **notes})  # type: ignore[arg-type]
        return Item("triton 12.1", How.ALONE, 1.0, found, None, None)

    def test_one_that_fails_is_told_in_its_own_words(self, judged: Judge) -> None:
        able = Assembler(
            "opt/cuda/bin/ptxas", "13.0", frozenset([Target.parse("sm_121a")]), Source.READ
        )
        probed = replace(NOTHING, ptxas=assembly(self.item()))
        verdict = judged(probed, host_files=HostFiles((able,)))
        finding = only(verdict, "jit-assembler-fails")
        assert "ptxas fatal : Value 'sm_121a' is not defined" in finding.message
        assert (str(finding.device), str(finding.target)) == ("12.1", "12.1a")
        assert finding.remedy == "Set TRITON_PTXAS_PATH=/opt/cuda/bin/ptxas, which knows sm_121a."
        assert verdict.outcome is Outcome.FAIL

    def test_one_that_writes_nothing_has_failed(self, judged: Judge) -> None:
        done = self.item(status=0, cubin_bytes=0)
        only(judged(replace(NOTHING, ptxas=assembly(done))), "jit-assembler-fails")

    def test_one_that_assembles_is_reported(self, judged: Judge) -> None:
        verdict = judged(replace(NOTHING, ptxas=assembly(self.item(status=0, cubin_bytes=900))))
        assert verdict.outcome is Outcome.PASS
        told = [one.message for one in verdict.findings if one.rule == "probed"]
        assert any("assembled for sm_121a (triton, CUDA 12.8)" in message for message in told)

    def test_a_triton_that_cannot_choose(self, judged: Judge) -> None:
        item = Item(
            "triton 12.1", How.ALONE, 1.0, AssemblyNotes(), (raised("Cannot find ptxas"),), None
        )
        finding = only(judged(replace(NOTHING, ptxas=assembly(item))), "jit-assembler-fails")
        assert "Cannot find ptxas" in finding.message

    def test_what_is_not_required_is_not_judged(self, judged: Judge) -> None:
        verdict = judged(replace(NOTHING, ptxas=assembly(self.item())), require="12.0")
        assert not [one for one in verdict.findings if one.rule == "jit-assembler-fails"]

    def test_a_required_device_that_was_not_asked_about_is_doubt(self, judged: Judge) -> None:
        verdict = judged(replace(NOTHING, ptxas=assembly(devices=("9.0",))))
        assert "not asked about 12.1" in only(verdict, "probe-failed").message
        assert verdict.outcome is Outcome.UNDETERMINED


class TestKernels:
    def judge(self, judged: Judge, notes: KernelNotes, *failure: Raised) -> Verdict:
        item = Item("12.1", How.ALONE, 1.0, notes, failure or None, None)
        return judged(replace(NOTHING, flashinfer=kernels(item)))

    def test_one_that_does_not_start(self, judged: Judge) -> None:
        verdict = self.judge(judged, KernelNotes(), raised("broken", ("flashinfer/x.py", 3)))
        finding = only(verdict, "kernels-not-found")
        assert "does not start for 12.1: RuntimeError: broken" in finding.message
        assert verdict.outcome is Outcome.FAIL

    def test_nothing_found(self, judged: Judge) -> None:
        notes = KernelNotes((Provider("sm90a", 2),), refused=("page", "rope"))
        verdict = self.judge(judged, notes)
        assert "2 modules of 2" in only(verdict, "kernels-not-found").message
        assert verdict.outcome is Outcome.FAIL

    def test_part_found(self, judged: Judge) -> None:
        notes = KernelNotes((Provider("sm121a", 2),), {"page": "sm121a"}, ("rope",))
        assert only(self.judge(judged, notes), "kernels-not-found").level is Level.WARNING

    def test_one_that_cannot_be_loaded(self, judged: Judge) -> None:
        notes = KernelNotes((Provider("a", 1),), failed={"page": "OSError: undefined symbol: x"})
        verdict = self.judge(judged, notes)
        assert "undefined symbol" in only(verdict, "kernels-not-found").message
        assert verdict.outcome is Outcome.FAIL

    def test_no_provider(self, judged: Judge) -> None:
        assert only(self.judge(judged, KernelNotes()), "kernels-not-found").level is Level.WARNING


class TestCompleteness:
    @pytest.mark.parametrize(
        "probed",
        [
            Probed(not_run="The image x has no Python that could run the probes: not found"),
            replace(NOTHING, models=None),
            replace(NOTHING, models=models(failure=(raised("broken"),), there=None)),
            replace(NOTHING, models=models(ended="SIGKILL", there=None, said="a\nlast\n")),
            replace(NOTHING, models=models(not_examined=("A", "B"))),
            replace(NOTHING, models=models(there=False)),
            replace(NOTHING, flashinfer=kernels(devices=())),
            replace(NOTHING, serving=None),
            replace(NOTHING, serving=serving(not_examined=("vllm serve",))),
            replace(NOTHING, serving=serving(tried("vllm serve", ended="time limit of 300 s"))),
        ],
    )
    def test_what_was_not_examined_is_never_a_pass(self, judged: Judge, probed: Probed) -> None:
        verdict = judged(probed)
        assert only(verdict, "probe-failed")
        assert verdict.outcome is Outcome.UNDETERMINED

    def test_what_is_not_installed_is_said(self, judged: Judge) -> None:
        probed = replace(NOTHING, models=models(there=False), flashinfer=kernels(there=False))
        verdict = judged(probed, file="opt/kernels/k.so")
        assert verdict.outcome is Outcome.PASS
        told = [one.message for one in verdict.findings if one.rule == "probed"]
        assert "vLLM is not installed, so nothing of it was examined." in told

    def test_without_probes_nothing_is_said(self, judged: Judge) -> None:
        verdict = judged(NOTHING)
        assert [one for one in verdict.findings if one.rule == "probed"]


class TestServing:
    @pytest.mark.parametrize("item", ["vllm --version", "vllm serve", "the server's application"])
    def test_where_the_gpu_is_all_that_is_missing(self, judged: Judge, item: str) -> None:
        found = serving(tried(item, NO_GPU), tried(item, how=How.ASSUMING))
        verdict = judged(replace(NOTHING, serving=found))
        assert verdict.outcome is Outcome.PASS
        told = [one.message for one in verdict.findings if one.rule == "probed"]
        assert any(f"as if there were a driver; {item} worked" in one for one in told)

    def test_a_start_that_stops_before_the_missing_gpu(self, judged: Judge) -> None:
        broken = raised("No module named 'fastapi'", kind="ModuleNotFoundError")
        found = serving(tried("vllm serve", broken), tried("vllm serve", how=How.ASSUMING))
        finding = only(judged(replace(NOTHING, serving=found)), "server-not-usable")
        assert finding.message == (
            "vllm serve fails: ModuleNotFoundError: No module named 'fastapi'."
        )

    def test_what_a_driver_would_not_help(self, judged: Judge) -> None:
        found = serving(
            tried("the server's application", NO_GPU),
            tried("the server's application", raised("it has no route"), how=How.ASSUMING),
        )
        verdict = judged(replace(NOTHING, serving=found))
        assert only(verdict, "server-not-usable").message.endswith("RuntimeError: it has no route.")
        assert verdict.outcome is Outcome.FAIL

    def test_a_crash(self, judged: Judge) -> None:
        found = serving(tried("vllm --version", ended="SIGSEGV"))
        message = only(judged(replace(NOTHING, serving=found)), "server-not-usable").message
        assert message == "vllm --version fails: it ends with SIGSEGV."

    @pytest.mark.parametrize(
        ("usable", "experts", "module", "said"),
        [
            (False, False, "sampling", "vLLM does not use them"),
            (True, True, "sampling", "none of the installed modules has them"),
            (True, True, "fused_moe_120", None),
            (True, False, "sampling", None),
        ],
    )
    def test_flashinfer_in_part(
        self, judged: Judge, usable: bool, experts: bool, module: str, said: str | None
    ) -> None:
        notes = KernelNotes((Provider("sm121a", 1),), {module: "sm121a"})
        probed = replace(
            NOTHING,
            flashinfer=kernels(Item("12.1", How.ALONE, 1.0, notes, None, None)),
            serving=serving(tried("FlashInfer", usable=usable, experts=experts)),
        )
        verdict = judged(probed)
        found = [one for one in verdict.findings if one.rule == "flashinfer-in-part"]
        assert [said in one.message for one in found if said] == ([True] if said else [])
        assert bool(found) is bool(said)
        assert verdict.outcome is Outcome.PASS


def test_a_recorded_vllm(judged: Judge) -> None:
    """vLLM 0.33.0 with torch 2.14.0: two optional packages, one model that needs a GPU."""
    verdict = judged(read_folder(RECORDED))
    found = [(one.rule, one.level.value) for one in verdict.findings if one.rule != "probed"]
    assert found == [
        ("extension-unused", "warning"),
        ("extension-unused", "warning"),
        ("kernels-not-found", "warning"),
        ("model-package-absent", "note"),
        ("model-needs-gpu", "note"),
        ("model-package-absent", "note"),
        ("extension-needs-driver", "note"),
    ]
    needs = only(verdict, "model-needs-gpu").message
    assert "2 architectures (Dots3NoteForCausalLM, Dots3NoteMTPModel)" in needs
    assert "vllm/vllm_flash_attn/__init__.py, line 34" in needs
    assert verdict.outcome is Outcome.PASS
