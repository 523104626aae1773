// The entry of the pages about data sets, fetched when one of them is first opened.
import { DatasetsPage } from "../ui/datasets/page.js";
import { styled } from "./style.js";

await styled(new URL("../../css/datasets.css", import.meta.url).pathname);

export { DatasetsPage };
