"""Faults of a cohort say which row or image and why, whoever files and columns name."""

import zipfile

import pytest
from cohort_samples import NAME, SCHEMA, dicom, picture, table

from evaluation.errors import InputError
from service.cohort.faults import told
from training.cohort import CohortSchema, read_cohort
from training.imaging import InputContract

#: What stands for a patient: its letters may be in no message.
PATIENTS = (NAME, "O'Mustermann", 'Erika "Mustermann"', "Mustermann, Erika")

DICOM = {
    "name": "scans", "format": "dicom", "sample": "SOPInstanceUID", "patient": "PatientID",
    "source": {
        "images": "scans",
        "labels": {"file": "table.csv", "column": "file", "key": "filename"},
    },
    "label": {"column": "dx", "classes": {"no": ["no"], "yes": ["yes"]}},
}  # fmt: skip


def faults(schema, folder):
    """What is told of a cohort that cannot be read."""
    parsed = CohortSchema.parse(schema, "schema")
    with pytest.raises(InputError) as error:
        read_cohort(parsed, folder)
    lines = [str(fault) for fault in told(error.value, parsed, folder).faults]
    assert "mustermann" not in "\n".join(lines).lower(), lines
    assert "erika" not in "\n".join(lines).lower(), lines
    assert str(folder) not in "\n".join(lines)
    return lines


@pytest.fixture(params=PATIENTS)
def patient(request):
    return request.param


@pytest.fixture
def folder(tmp_path, patient):
    """A cohort whose rows, files and folders are called after a patient."""
    (tmp_path / "images").mkdir()
    quoted = patient.replace('"', '""')
    lines = ["image_id,patient_id,dx,sex"]
    for k in range(6):
        name = f"{patient} {k}"
        (tmp_path / "images" / f"{name}.png").write_bytes(picture(k))
        sex = ("female", "male")[k % 2]
        lines.append(f'"{quoted} {k}","{quoted}",{("nv", "mel")[k % 2]},{sex}')
    (tmp_path / "table.csv").write_text("\n".join(lines) + "\n")
    return tmp_path


def changed(folder, old, new, count=-1):
    path = folder / "table.csv"
    path.write_text(path.read_text().replace(old, new, count))


def test_an_image_that_is_not_there(folder, patient):
    (folder / "images" / f"{patient} 2.png").unlink()
    (line,) = faults(SCHEMA, folder)
    assert line.startswith("table.csv, row 3, column image_id: no image (not shown) in images")


def test_an_image_whose_path_begins_with_an_attribute(folder):
    source = SCHEMA["source"] | {"pattern": "{sex}/{image_id}.png"}
    lines = faults(SCHEMA | {"source": source}, folder)
    assert len(lines) == 6
    assert "row 1, column sex: no image (not shown) in images" in lines[0]


def test_a_path_that_leads_out_and_one_that_fits_several(folder, patient):
    source = SCHEMA["source"] | {"pattern": "../{image_id}.png"}
    assert "row 1" in faults(SCHEMA | {"source": source}, folder)[0]
    source = SCHEMA["source"] | {"pattern": "{patient_id}*.png"}
    assert "not exactly one file" in faults(SCHEMA | {"source": source}, folder)[0]


def test_a_row_twice_and_values_of_label_and_attribute(folder):
    text = (folder / "table.csv").read_text().splitlines()
    broken = text[1].replace("nv,female", "??,woman")
    (folder / "table.csv").write_text("\n".join([*text, broken]) + "\n")
    lines = faults(SCHEMA, folder)
    assert any("row 7, column image_id: sample (not shown)" in line for line in lines)
    assert any("row 7, column dx: label '??' belongs to no class" in line for line in lines)
    assert any("row 7, column sex: 'woman' is not declared" in line for line in lines)


def test_a_table_without_titles(folder):
    text = (folder / "table.csv").read_text()
    (folder / "table.csv").write_text(text.partition("\n")[2])
    lines = faults(SCHEMA, folder)
    assert any("no column 'dx' (label)" in line for line in lines)
    (folder / "table.csv").write_text(text.splitlines()[1] + "," + text.splitlines()[1] + "\n")
    assert "column (not shown) is there twice" in faults(SCHEMA, folder)[0]


def test_rows_that_are_kept_by_the_patient(folder):
    source = SCHEMA["source"] | {"keep": {"patient_id": ["nobody"]}}
    (line,) = faults(SCHEMA | {"source": source}, folder)
    assert "no row has nobody in 'patient_id'" in line


def test_keys_that_are_there_twice(folder):
    (folder / "more.csv").write_text((folder / "table.csv").read_text())
    with (folder / "more.csv").open("a") as file:
        file.write((folder / "table.csv").read_text().splitlines()[1] + "\n")
    on = ["sex", "image_id"]
    source = SCHEMA["source"] | {"join": [{"table": "more.csv", "on": on}]}
    (line,) = faults(SCHEMA | {"source": source}, folder)
    assert line.startswith("more.csv, row 7, column sex")


def test_dicom_files_are_told_by_number(tmp_path, patient):
    (tmp_path / "scans").mkdir()
    names = [f"{patient} {k}.dcm" for k in range(4)]
    for k, name in enumerate(names):
        data = dicom(SOPInstanceUID=f"1.2.{k}", PatientName=patient, PatientID=patient)
        (tmp_path / "scans" / name).write_bytes(data)
    (tmp_path / "scans" / names[1]).write_bytes(dicom()[:200])
    (tmp_path / "scans" / names[3]).write_bytes(dicom(SOPInstanceUID="1.2.0"))
    (tmp_path / "table.csv").write_text("file,dx\nnobody,no\n")
    lines = faults(DICOM, tmp_path)
    assert any("file 2 of scans in the order of names: " in line for line in lines)
    assert any("file 4 of scans" in line and "its SOPInstanceUID" in line for line in lines)
    assert any("no row has the key of " in line for line in lines)


def test_images_of_a_damaged_zip(folder, patient):
    path = folder / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for k in range(6):
            archive.writestr(f"{patient} {k}.png", picture(k))
    data = bytearray(path.read_bytes())
    data[data.find(b"IDAT") + 20] ^= 0xFF
    path.write_bytes(data)
    source = SCHEMA["source"] | {"images": "images.zip"}
    schema = CohortSchema.parse(SCHEMA | {"source": source}, "schema")
    cohort = read_cohort(schema, folder)
    with pytest.raises(InputError) as error:
        cohort.load(cohort.table["image"].iloc[0], InputContract(size=32))
    (fault,) = told(error.value, schema, folder).faults
    assert fault.where == "file 1 of images.zip in the order of names"
    assert "Mustermann" not in str(fault)


def test_a_table_that_is_none(folder, patient):
    (folder / "table.csv").write_text('a,b\n"' + patient.replace('"', "") + "\n")
    assert faults(SCHEMA, folder)[0].startswith("table.csv: not readable as a table")
    (folder / "table.csv").unlink()
    assert faults(SCHEMA, folder)[0].startswith("table.csv: no such file")
    (folder / "table.csv").write_text(table())
    for path in (folder / "images").iterdir():
        path.unlink()
    (folder / "images").rmdir()
    assert faults(SCHEMA, folder) == [
        "images: no such folder or zip. Check the setting 'images', the root and EVENSCAN_DATA."
    ]
