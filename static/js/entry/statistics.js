// The statistics page's entry, fetched when the page is first opened.
import { StatisticsPage } from "../ui/statistics/page.js";
import { styled } from "./style.js";

await styled(new URL("../../css/statistics.css", import.meta.url).pathname);

export { StatisticsPage };
