// The entry of the pages about data sets, fetched when one of them is first opened.
import { DatasetsPage } from "../ui/datasets/page.js";
import { styled } from "./style.js";

await styled("/static/css/datasets.css");

export { DatasetsPage };
