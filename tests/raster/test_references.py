"""Nothing that a file says reaches a server, or a file that is no image, without leave."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import pytest
import rasterio
import rasterio.shutil
import shapely
from rasterio.errors import RasterioError

from geoseg.errors import SourceError
from geoseg.foreign import allow_remote
from geoseg.raster import open_raster, source_fingerprint
from geoseg.raster.discovery import find_sources
from geoseg.raster.gdal import open_dataset
from geoseg.raster.references import follow_references, is_in_large_folder
from tests.fixtures.server import Server

Make = Callable[..., Path]
SIZE = 'rasterXSize="80" rasterYSize="64"'
RECT = 'xOff="0" yOff="0" xSize="80" ySize="64"'
SOURCE = (
    '<SimpleSource><SourceFilename relativeToVRT="1">{}</SourceFilename><SourceBand>1</SourceBand>'
    f"<SrcRect {RECT}/><DstRect {RECT}/></SimpleSource>"
)
WMS = """<GDAL_WMS><Service name="TMS"><ServerUrl>{}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service>
<DataWindow><UpperLeftX>0</UpperLeftX><UpperLeftY>64</UpperLeftY><LowerRightX>80</LowerRightX>
<LowerRightY>0</LowerRightY><SizeX>80</SizeX><SizeY>64</SizeY></DataWindow>
<Projection>EPSG:32632</Projection><BandsCount>1</BandsCount></GDAL_WMS>"""


def vrt(path: Path, inside: str, *, attributes: str = "", outside: str = "") -> Path:
    path.write_text(
        f'<VRTDataset {SIZE}><VRTRasterBand dataType="Byte" band="1" {attributes}>{inside}'
        f"</VRTRasterBand>{outside}</VRTDataset>"
    )
    return path


def use(path: Path) -> None:
    """All that geoseg does with a source: find, open, fingerprint, read whole and decimated."""
    find_sources([path])
    source = open_raster(path)
    source_fingerprint(path)
    with source.open() as reader:
        reader.read(0, 0, source.height, source.width)
        assert reader.overviews >= 0
    with rasterio.open(path) as file:
        file.read(out_shape=(1, 16, 20))


HOSTILE = {
    "a source": lambda a, url: vrt(a, SOURCE.format(f"/vsicurl/{url}/x.tif")),
    "chained": lambda a, url: vrt(a, SOURCE.format(f"/vsizip//vsicurl/{url}/x.zip/x.tif")),
    "in braces": lambda a, url: vrt(a, SOURCE.format(f"/vsizip/{{/vsicurl/{url}/x.zip}}/x.tif")),
    "a bucket": lambda a, _: vrt(a, SOURCE.format("/vsis3/bucket/x.tif")),
    "a URL": lambda a, url: vrt(a, SOURCE.format(f"{url}/x.tif")),
    "a driver's name": lambda a, url: vrt(a, SOURCE.format(f"WMS:{url}/wms?")),
    "an attribute in capitals": lambda a, url: vrt(
        a, f'<SIMPLESOURCE SOURCEFILENAME="/VSICURL/{url}/x.tif"/>'
    ),
    "character references": lambda a, url: vrt(a, SOURCE.format(f"&#47;vsi&#99;url/{url}/x.tif")),
    "an overview": lambda a, url: vrt(
        a,
        f"<Overview><SourceFilename>/vsicurl/{url}/x.tif</SourceFilename></Overview>"
        + SOURCE.format("image.tif"),
    ),
    "a mask": lambda a, url: vrt(
        a,
        SOURCE.format("image.tif"),
        outside=f'<MaskBand><VRTRasterBand dataType="Byte">'
        f"{SOURCE.format(f'/vsicurl/{url}/x.tif')}</VRTRasterBand></MaskBand>",
    ),
    "a VRT in a VRT's text": lambda a, url: vrt(
        a,
        SOURCE.format(
            f"&lt;VRTDataset {SIZE}&gt;&lt;VRTRasterBand&gt;&lt;SourceFilename&gt;/vsicurl/{url}/x"
            "&lt;/SourceFilename&gt;&lt;/VRTRasterBand&gt;&lt;/VRTDataset&gt;"
        ),
    ),
    "a VRT that calls itself JPEG": lambda a, url: a.write_bytes(
        b"\xff\xd8\xff\xfe\x03\x03 " + vrt(a, SOURCE.format(f"/vsicurl/{url}/x.tif")).read_bytes()
    ),
    "a server's description": lambda a, url: a.write_text(WMS.format(url)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("place", ["named", "source", ".ovr", ".msk", ".tif.ovr.msk"])
def test_no_server_is_contacted(
    make_raster: Make, server: Server, tmp_path: Path, name: str, place: str
) -> None:
    image = make_raster("image.tif", bands=1)
    path = {
        "named": tmp_path / "a.tif",
        "source": tmp_path / "inner.tif",
        ".ovr": tmp_path / "IMAGE.tif.OVR",
        ".msk": tmp_path / "image.tif.msk",
        ".tif.ovr.msk": tmp_path / "image.tif.ovr.msk",
    }[place]
    HOSTILE[name](path, server.url)
    if place == ".tif.ovr.msk":
        os.link(make_raster("other.tif", bands=1), tmp_path / "image.tif.ovr")
    root = path if place == "named" else image
    if place == "source":
        root = vrt(tmp_path / "outer.vrt", SOURCE.format("inner.tif"))
    for call in (open_raster, source_fingerprint):
        with pytest.raises(
            SourceError, match=f"^{root}: .*; .*(--allow-remote|convert|GeoTIFF|ex)"
        ):
            call(root)
    find_sources([root])
    assert not server.was_asked()


@pytest.mark.parametrize("key", ["OVERVIEW_FILE", "overview_file", "X_DATASET"])
@pytest.mark.parametrize("place", ["inside", "beside", "inside a source"])
def test_metadata_does_not_lead_to_a_server(
    make_raster: Make, server: Server, key: str, place: str
) -> None:
    root = image = make_raster("image.tif", bands=1)
    link = f"/vsicurl/{server.url}/x.tif"
    if place == "beside":
        image.with_name("image.tif.aux.xml").write_text(
            f'<PAMDataset><Metadata domain="OVERVIEWS"><MDI x="y" key="{key}">{link}</MDI>'
            "</Metadata></PAMDataset>"
        )
    else:
        with rasterio.open(image, "r+") as file:
            file.update_tags(ns="OVERVIEWS", **{key: link})
    if place == "inside a source":
        root = vrt(image.with_name("a.vrt"), SOURCE.format("image.tif"))
    with pytest.raises(SourceError, match=r"refers to /vsicurl/.*--allow-remote"):
        open_raster(root)
    assert not server.was_asked()


def tile_index(path: Path, location: str) -> Path:
    box = shapely.box(500_000, 5_400_000 - 32, 500_040, 5_400_000)
    pyogrio.raw.write(
        str(path),
        np.array([shapely.to_wkb(box)], object),
        [np.array([location], object)],
        ["location"],
        geometry_type="Polygon",
        crs="EPSG:32632",
        driver="GPKG",
    )
    return path


@pytest.mark.parametrize("in_xml", [True, False])
def test_a_tile_index_is_followed_on_this_machine_only(
    make_raster: Make, server: Server, tmp_path: Path, in_xml: bool
) -> None:
    image = make_raster("image.tif", bands=1)
    for location, refused in ((str(image), False), (f"/vsicurl/{server.url}/x.tif", True)):
        root = index = tile_index(tmp_path / f"{refused}.gti.gpkg", location)
        if in_xml:
            root = tmp_path / f"{refused}.gti"
            root.write_text(
                f"<GDALTileIndexDataset><IndexDataset>{index}</IndexDataset></GDALTileIndexDataset>"
            )
        if refused:
            with pytest.raises(SourceError, match=r"refers to /vsicurl/.*--allow-remote"):
                open_raster(root)
        else:
            assert str(image) in follow_references(root)
            assert open_raster(root).width == 80
            use(root)
    assert not server.was_asked()


def test_with_leave_the_server_is_read(make_raster: Make, server: Server, tmp_path: Path) -> None:
    image = make_raster("image.tif", bands=1)
    os.link(image, server.folder / "x.tif")
    path = vrt(tmp_path / "a.vrt", SOURCE.format(f"/vsicurl/{server.url}/x.tif"))
    with allow_remote():
        with open_raster(path).open() as reader, open_raster(image).open() as here:
            assert (reader.read(0, 0, 64, 80)[0] == here.read(0, 0, 64, 80)[0]).all()
        assert follow_references(path) == [f"/vsicurl/{server.url}/x.tif"]
    assert server.was_asked()
    with pytest.raises(SourceError, match="--allow-remote"):
        open_raster(path)


def test_with_leave_a_description_of_a_server_is_read(server: Server, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_text(WMS.format(server.url))
    with allow_remote():
        source = open_raster(path)
        assert (source.height, source.width) == (64, 80)
        with source.open() as reader, pytest.raises(SourceError, match="cannot be read"):
            reader.read(0, 0, 64, 80)
    assert server.was_asked()


def test_a_vrt_on_a_server_is_not_read_even_with_leave(server: Server, tmp_path: Path) -> None:
    vrt(server.folder / "x.tif", RAW, attributes='subClass="VRTRawRasterBand"')
    path = vrt(tmp_path / "a.vrt", SOURCE.format(f"/vsicurl/{server.url}/x.tif"))
    with allow_remote(), pytest.raises(SourceError, match="no image that can be read there"):
        open_raster(path)


def test_what_lies_beside_a_servers_image_is_used_where_it_is_an_image(
    make_raster: Make, server: Server, tmp_path: Path
) -> None:
    os.link(make_raster("image.tif", bands=1, crs=None, transform=None), server.folder / "x.tif")
    os.link(make_raster("smaller.tif", bands=1, height=32, width=40), server.folder / "x.tif.ovr")
    (server.folder / "x.tfw").write_text("0.5\n0\n0\n-0.5\n500000.25\n5399999.75\n")
    (server.folder / "x.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32632</SRS>"
        '<PAMRasterBand band="1"><NoDataValue>7</NoDataValue></PAMRasterBand></PAMDataset>'
    )
    path = tmp_path / "a.vrt"
    with rasterio.open(f"{server.url}/x.tif") as file:
        rasterio.shutil.copy(file, path, driver="VRT")
    with allow_remote():
        source = open_raster(path)
        use(path)
    assert (source.nodata, source.crs, source.transform.c) == (7.0, "EPSG:32632", 500_000.0)


@pytest.mark.parametrize("suffix", [".ovr", ".msk", ".ovr.msk"])
@pytest.mark.parametrize("inside", ["raw", "server"])
def test_what_lies_beside_a_servers_image_leads_nowhere(
    make_raster: Make, server: Server, tmp_path: Path, suffix: str, inside: str
) -> None:
    os.link(make_raster("image.tif", bands=1), server.folder / "x.tif")
    if suffix == ".ovr.msk":
        os.link(make_raster("o.tif", bands=1, height=32, width=40), server.folder / "x.tif.ovr")
    beside = server.folder / f"x.tif{suffix}"
    if inside == "raw":
        vrt(beside, RAW, attributes='subClass="VRTRawRasterBand"')
    else:
        beside.write_text(WMS.format(server.url))
    path = vrt(tmp_path / "a.vrt", SOURCE.format(f"/vsicurl/{server.url}/x.tif"))
    with allow_remote(), pytest.raises(SourceError, match="has files beside it that are none"):
        open_raster(path)


@pytest.mark.parametrize("key", ["OVERVIEW_FILE", "X_DATASET"])
def test_metadata_beside_a_servers_image_leads_nowhere(
    make_raster: Make, server: Server, tmp_path: Path, key: str
) -> None:
    os.link(make_raster("image.tif", bands=1), server.folder / "x.tif")
    domain = "OVERVIEWS" if key == "OVERVIEW_FILE" else "GEOLOCATION"
    (server.folder / "x.tif.aux.xml").write_text(
        f'<PAMDataset><Metadata domain="{domain}"><MDI key="{key}">/etc/passwd</MDI></Metadata>'
        "</PAMDataset>"
    )
    path = vrt(tmp_path / "a.vrt", SOURCE.format(f"/vsicurl/{server.url}/x.tif"))
    with allow_remote(), pytest.raises(SourceError, match="has files beside it that are none"):
        open_raster(path)


RAW = "<SourceFilename>image.tif</SourceFilename><ImageOffset>0</ImageOffset>"
DERIVED = 'subClass="VRTDerivedRasterBand"'
PYTHON = "<PixelFunctionLanguage>Python</PixelFunctionLanguage>"


@pytest.mark.parametrize(
    ("attributes", "inside"),
    [
        ('subClass="VRTRawRasterBand"', RAW),
        ('SUBCLASS="vrtrawrasterband"', RAW),
        ("", "<subClass>VRTRawRasterBand</subClass>" + RAW),
        (DERIVED, PYTHON + "<PixelFunctionType>os.system</PixelFunctionType>"),
        (DERIVED, "<PixelFunctionCode><![CDATA[def f(): pass]]></PixelFunctionCode>"),
        (
            "",
            '<SimpleSource><OpenOptions><OOI key="ROOT_PATH">/x</OOI></OpenOptions></SimpleSource>',
        ),
    ],
)
@pytest.mark.parametrize("allowed", [False, True])
def test_raw_bands_and_code_are_refused_always(
    make_raster: Make, tmp_path: Path, attributes: str, inside: str, allowed: bool
) -> None:
    make_raster("image.tif", bands=1)
    inner = vrt(tmp_path / "inner.vrt", inside, attributes=attributes)
    outer = vrt(tmp_path / "outer.vrt", SOURCE.format("inner.vrt"))
    for path in (inner, outer):
        with allow_remote(allowed), pytest.raises(SourceError, match=r"holds .*never follows"):
            open_raster(path)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("gone.tif", "does not exist"),
        ("/etc/passwd", "no image that geoseg reads"),
        (".", "not a file"),
        ("image.tif<!-- -->x", "does not exist"),
        ("/dev/zero", "not a file"),
    ],
)
def test_only_images_that_are_there_are_followed(
    make_raster: Make, tmp_path: Path, reference: str, said: str
) -> None:
    make_raster("image.tif", bands=1)
    path = vrt(tmp_path / "a.vrt", SOURCE.format(reference))
    with pytest.raises(SourceError, match=rf"^{path}: refers to .*{said}"):
        open_raster(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('<!DOCTYPE x [<!ENTITY a "b">]><VRTDataset>&a;</VRTDataset>', "document type"),
        ("<VRTDataset>" + "<a>" * 10_000 + "</a>" * 10_000 + "</VRTDataset>", "within one another"),
        ("<VRTDataset>\udcff</VRTDataset>", "not readable XML in UTF-8"),
        ("<VRTDataset", "not readable XML"),
    ],
)
def test_xml_beyond_the_limits_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "a.vrt"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(SourceError, match=rf"^{path}: .*{said}.*; export it again"):
        open_raster(path)


def test_what_is_followed_is_listed_once_and_to_the_end(make_raster: Make, tmp_path: Path) -> None:
    image, mask = make_raster("image.tif", bands=1), make_raster("image.tif.msk", bands=1)
    far = make_raster("far/away.tif", bands=1)
    inner = vrt(far.with_name("inner.vrt"), SOURCE.format(image) * 2)
    both = SOURCE.format(inner) + SOURCE.format("far/away.tif")
    path = vrt(tmp_path / "a.vrt", both)
    assert sorted(follow_references(path)) == sorted(map(str, (image, mask, far, inner)))
    use(path)


def test_a_vrt_of_itself_ends(tmp_path: Path) -> None:
    path = vrt(tmp_path / "a.vrt", SOURCE.format("a.vrt"))
    assert follow_references(path) == []
    with pytest.raises((SourceError, RasterioError)):
        use(path)


def test_functions_of_gdals_own_are_computed(make_raster: Make, tmp_path: Path) -> None:
    make_raster("image.tif", bands=1)
    inside = "<PixelFunctionType>inv</PixelFunctionType>" + SOURCE.format("image.tif")
    use(vrt(tmp_path / "a.vrt", inside, attributes=DERIVED))


def test_addresses_in_texts_are_no_references(make_raster: Make, tmp_path: Path) -> None:
    image = make_raster("image.tif", bands=1, crs="EPSG:32632")
    with rasterio.open(image, "r+") as file:
        file.update_tags(COPYRIGHT="see https://example.org & /vsicurl/x")
    text = '<Metadata><MDI key="COPYRIGHT">/vsicurl/https://example.org</MDI></Metadata>'
    use(vrt(tmp_path / "a.vrt", text + SOURCE.format("image.tif")))
    use(image)


@pytest.mark.parametrize("files", [4, 990, 1200])
def test_sidecars_count_in_folders_of_any_size_as_gdal_has_it(
    make_raster: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    """A raster is read alike where its folder is listed, and where sidecars are asked for."""
    image = make_raster("a.tif", bands=1, crs=None, transform=None)
    (tmp_path / "a.tfw").write_text("2\n0\n0\n-2\n100\n200\n")
    (tmp_path / "a.tif.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>", encoding="utf-8"
    )
    mask = np.zeros((1, 64, 80), np.uint8)
    mask[0, 10:] = 255
    make_raster("a.tif.msk", data=mask, crs=None, transform=None)
    with rasterio.open(tmp_path / "a.tif.msk", "r+") as file:
        file.update_tags(INTERNAL_MASK_FLAGS_1="2")
    for number in range(files - 4):
        (tmp_path / f"{number}").touch()
    assert is_in_large_folder(image) == (files > 1000)
    asks: list[bool] = []
    plainly = rasterio.open

    def opening(*arguments: Any, **options: Any) -> Any:
        asks.append("GDAL_DISABLE_READDIR_ON_OPEN" in rasterio.env.getenv())
        return plainly(*arguments, **options)

    monkeypatch.setattr(rasterio, "open", opening)
    with plainly(image) as plain, open_dataset(image) as file:
        assert asks == [files > 1000]
        assert (file.transform, file.crs) == (plain.transform, plain.crs)
        assert (file.transform.a, file.crs.to_epsg()) == (2.0, 32633)
        np.testing.assert_array_equal(file.read_masks(1), mask[0])
        assert sorted(file.files) == sorted(plain.files)
