// The statistics page's entry, fetched when the page is first opened.
import { StatisticsPage } from "../ui/statistics/page.js";
import { styled } from "./style.js";

await styled("/static/css/statistics.css");

export { StatisticsPage };
