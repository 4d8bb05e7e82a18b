"""Writes a few rows and images as each publisher lays them out, with the same oddities.

Headers and codings are the publishers'; patients, identifiers and values are invented, because
the licences do not allow to pass on theirs.
"""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from PIL import Image

#: The findings of CheXpert, in its order.
CHEXPERT = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
    "Support Devices"
)


def text(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = "\n".join(lines) + "\n"
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(content.encode()))
    else:
        path.write_text(content, encoding="utf-8")


def image(path: Path, *, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (40, 32), 90 if mode == "L" else (90, 60, 30)).save(path)


def ham10000_dataverse(folder: Path) -> None:
    text(
        folder / "HAM10000_metadata",
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset",
        "HAM_9000001,ISIC_9000011,bkl,histo,75.0,male,scalp,vidir_modern",
        "HAM_9000001,ISIC_9000012,bkl,histo,75.0,male,scalp,vidir_modern",
        "HAM_9000002,ISIC_9000013,mel,histo,,unknown,unknown,rosendahl",
        "HAM_9000003,ISIC_9000014,nv,follow_up,35.0,female,back,vidir_molemax",
    )
    for part, names in ((1, ("11", "13")), (2, ("12", "14"))):
        for name in names:
            image(folder / f"HAM10000_images_part_{part}" / f"ISIC_90000{name}.jpg")


def chexpert(folder: Path) -> None:
    rows = [
        ("patient90001/study1/view1_frontal.jpg", "Female,61,Frontal,AP", "1.0"),
        ("patient90001/study1/view2_lateral.jpg", "Female,61,Lateral,", "1.0"),
        ("patient90002/study2/view1_frontal.jpg", "Male,84,Frontal,PA", "-1.0"),
        ("patient90002/study1/view1_frontal.jpg", "Male,83,Frontal,AP", "0.0"),
        ("patient90003/study1/view1_frontal.jpg", "Unknown,0,Frontal,AP", ""),
    ]
    lines = [f"Path,Sex,Age,Frontal/Lateral,AP/PA,{CHEXPERT}"]
    for name, person, effusion in rows:
        path = f"CheXpert-v1.0-small/train/{name}"
        lines.append(f"{path},{person},,,1.0,,,-1.0,,,0.0,,{effusion},,,1.0")
        image(folder / path, mode="L")
    text(folder / "CheXpert-v1.0-small" / "train.csv", *lines)


def mimic_cxr_jpg(folder: Path) -> None:
    views = {
        "PA": '"CHEST (PA AND LAT)",PA,3056,2544,21500506,213014.531,'
        '"CHEST (PA AND LAT)",postero-anterior,Erect',
        "LATERAL": '"CHEST (PA AND LAT)",LATERAL,3056,2544,21500506,213014.531,'
        '"CHEST (PA AND LAT)",lateral,Erect',
        "AP": '"CHEST (PORTABLE AP)",AP,2022,2022,21511015,83005.218,'
        '"CHEST (PORTABLE AP)",antero-posterior,',
    }
    rows = [
        ("aaaa0001-00000001", "10900001", "59000001", "PA", "train"),
        ("aaaa0002-00000002", "10900001", "59000001", "LATERAL", "train"),
        ("aaaa0003-00000003", "10900002", "59000002", "AP", "test"),
        ("aaaa0004-00000004", "18900003", "59000003", "AP", "train"),  # uncertain
        ("aaaa0005-00000005", "18900004", "59000004", "AP", "train"),  # report not labelled
    ]
    text(
        folder / "mimic-cxr-2.0.0-metadata.csv.gz",
        "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,"
        "Columns,StudyDate,StudyTime,ProcedureCodeSequence_CodeMeaning,"
        "ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning",
        *(f"{name},{subject},{study},{views[view]}" for name, subject, study, view, _ in rows),
    )
    text(
        folder / "mimic-cxr-2.0.0-split.csv.gz",
        "dicom_id,study_id,subject_id,split",
        *(f"{name},{study},{subject},{split}" for name, subject, study, _, split in rows),
    )
    text(
        folder / "mimic-cxr-2.0.0-chexpert.csv.gz",
        "subject_id,study_id,Atelectasis,Cardiomegaly,Consolidation,Edema,"
        "Enlarged Cardiomediastinum,Fracture,Lung Lesion,Lung Opacity,No Finding,"
        "Pleural Effusion,Pleural Other,Pneumonia,Pneumothorax,Support Devices",
        "10900001,59000001,,,,,,,,,1.0,,,,,",
        "10900002,59000002,,,1.0,,,,,,,1.0,,-1.0,,",
        "18900003,59000003,,,,,,,,,,-1.0,,,,",
    )
    text(
        folder / "patients.csv.gz",
        "subject_id,gender,anchor_age,anchor_year,anchor_year_group,dod",
        "10900001,F,52,2150,2014 - 2016,2151-09-09",
        "10900002,M,91,2151,2014 - 2016,",
        "18900003,F,41,2150,2014 - 2016,",
    )
    stay = "2150-05-06 22:23:00,2150-05-07 17:15:00,,URGENT,P00000,TRANSFER,HOME,Other,ENGLISH"
    text(
        folder / "admissions.csv.gz",
        "subject_id,hadm_id,admittime,dischtime,deathtime,admission_type,admit_provider_id,"
        "admission_location,discharge_location,insurance,language,marital_status,race,"
        "edregtime,edouttime,hospital_expire_flag",
        f"10900001,29000001,{stay},WIDOWED,WHITE,,,0",
        f"10900001,29000002,{stay},WIDOWED,UNKNOWN,,,0",
        f"10900002,29000003,{stay},SINGLE,BLACK/CAPE VERDEAN,,,0",
    )
    for name, subject, study, _, _ in rows:
        image(folder / f"files/p{subject[:2]}/p{subject}/s{study}/{name}.jpg", mode="L")


def nih_cxr14(folder: Path) -> None:
    text(
        folder / "Data_Entry_2017_v2020.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Sex,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]",
        "00090001_000.png,Cardiomegaly,0,90001,57,M,PA,2682,2749,0.143,0.143",
        "00090001_001.png,Cardiomegaly|Emphysema,1,90001,58,M,PA,2894,2729,0.143,0.143",
        "00090002_000.png,No Finding,0,90002,80,F,AP,2500,2048,0.171,0.171",
        "00090003_000.png,Hernia|Infiltration,0,90003,7,F,PA,2582,2991,0.143,0.143",
    )
    for part in range(1, 13):
        (folder / f"images_{part:03d}" / "images").mkdir(parents=True)
    for part, name in ((1, "1_000"), (1, "1_001"), (2, "2_000"), (12, "3_000")):
        image(folder / f"images_{part:03d}/images/0009000{name}.png", mode="L")


def nih_first_release(folder: Path) -> None:
    """The table of 2017: other names, commas at the end of a line, ages with a unit."""
    text(
        folder / "Data_Entry_2017.csv",
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
        "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],",
        "00090001_000.png,Cardiomegaly,0,90001,057Y,M,PA,2682,2749,0.14300000000000002,0.143,",
        "00090002_000.png,No Finding,0,90002,411,F,AP,2500,2048,0.171,0.171,",
        "00090003_000.png,Infiltration,0,90003,009M,F,PA,2582,2991,0.143,0.143,",
    )


def pad_ufes_20(folder: Path) -> None:
    text(
        folder / "metadata.csv",
        "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,"
        "gender,skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,"
        "fitspatrick,region,diameter_1,diameter_2,diagnostic,itch,grew,hurt,changed,bleed,"
        "elevation,img_id,biopsed",
        "PAT_9001,9101,,,,,8,,,,,,,,ARM,,,NEV,False,False,False,False,False,False,"
        "PAT_9001_9101_530.png,False",
        "PAT_9002,9102,False,False,POMERANIA,UNK,61,False,FEMALE,True,True,True,True,3.0,"
        "NECK,6.0,5.0,BCC,True,UNK,False,True,True,True,PAT_9002_9102_939.png,True",
        "PAT_9003,9103,,,,,77,,,,,,,,FACE,,,ACK,True,False,False,False,False,False,"
        "PAT_9003_9103_547.png,False",
    )
    names = ("PAT_9001_9101_530", "PAT_9002_9102_939", "PAT_9003_9103_547")
    for part, name in enumerate(names, start=1):
        image(folder / f"imgs_part_{part}" / f"{name}.png")


def fitzpatrick17k(folder: Path) -> None:
    rows = [
        ("0" * 32, "3,3,lichen simplex,inflammatory,non-neoplastic", ""),
        ("1" * 32, "-1,1,syringoma,benign dermal,benign", ""),
        ("2" * 32, "2,3,actinic keratosis,malignant epidermal,malignant", "1 Diagnostic"),
    ]
    text(
        folder / "fitzpatrick17k.csv",
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
        "three_partition_label,qc,url,url_alphanum",
        *(
            f"{name},{means},{checked},https://example.org/a/{name}.jpg,httpsexampleorga.jpg"
            for name, means, checked in rows
        ),
    )
    for name, _, _ in rows:
        image(folder / "images" / f"{name}.jpg")


def odir_5k(folder: Path) -> None:
    rows = [
        (9000, 69, "Female", "cataract", "normal fundus"),
        (9001, 57, "Male", "lens dust，normal fundus", "moderate retinopathy，drusen"),
        (9002, 1, "Male", "low image quality", "low image quality，maculopathy"),
    ]
    sheet = [
        [patient, age, sex, f"{patient}_left.jpg", f"{patient}_right.jpg", left, right]
        + [0] * 8
        for patient, age, sex, left, right in rows
    ]
    header = (
        "ID,Patient Age,Patient Sex,Left-Fundus,Right-Fundus,Left-Diagnostic Keywords,"
        "Right-Diagnostic Keywords,N,D,G,C,A,H,M,O"
    )
    folder.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(sheet, columns=header.split(","))
    table.to_excel(folder / "ODIR-5K_Training_Annotations(Updated)_V2.xlsx", index=False)
    for patient, *_ in rows:
        for eye in ("left", "right"):
            image(folder / "ODIR-5K_Training_Dataset" / f"{patient}_{eye}.jpg")


def oasis_1(folder: Path) -> None:
    text(
        folder / "oasis_cross-sectional.csv",
        "ID,M/F,Hand,Age,Educ,SES,MMSE,CDR,eTIV,nWBV,ASF,Delay",
        "OAS1_9001_MR1,F,R,74,2,,29,0,1350,0.75,1.3,N/A",
        "OAS1_9002_MR1,F,R,73,4,3,27,0.5,1450,0.71,1.2,N/A",
        "OAS1_9003_MR1,M,R,28,,,,,1590,0.8,1.1,N/A",
        "OAS1_9004_MR1,M,R,86,2,4,20,2,1450,0.74,1.2,N/A",
        "OAS1_9003_MR2,M,R,28,,,,,1590,0.8,1.1,40",
    )
    for disc in range(1, 13):
        (folder / f"disc{disc}").mkdir(parents=True)
    for disc, name, averaged in ((1, "9001", 4), (1, "9002", 4), (2, "9004", 3)):
        scan = f"OAS1_{name}_MR1"
        atlas = folder / f"disc{disc}" / scan / "PROCESSED" / "MPRAGE" / "T88_111"
        atlas.mkdir(parents=True)
        # Analyze of 1997: big-endian, and a fourth axis of one.
        voxels = np.random.default_rng(disc).integers(1, 900, (11, 13, 11, 1))
        header = nibabel.AnalyzeHeader(endianness=">")
        header.set_data_dtype(">i2")
        volume = nibabel.AnalyzeImage(voxels.astype(">i2"), None, header)
        for kind in ("gfc", "masked_gfc"):
            nibabel.save(volume, atlas / f"{scan}_mpr_n{averaged}_anon_111_t88_{kind}.img")


def styled_mnist(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    np.savez(
        folder / "styled_mnist.npz",
        image=generator.integers(0, 256, (20, 28, 28), np.uint8),
        label=np.arange(20, dtype=np.uint8) % 10,
        style=np.arange(20, dtype=np.uint8) % 6,
        style_names=np.array(
            ["identity", "stripe", "zigzag", "canny_edges", "scale", "brightness"]
        ),
        mnist_index=np.arange(100, 120, dtype=np.int32),
    )


LAYOUTS = {
    made.__name__: made
    for made in (
        chexpert,
        fitzpatrick17k,
        ham10000_dataverse,
        mimic_cxr_jpg,
        nih_cxr14,
        oasis_1,
        odir_5k,
        pad_ufes_20,
        styled_mnist,
    )
}
