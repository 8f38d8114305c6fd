// A wide table can be reached by keyboard where it scrolls. The theme puts tables into their boxes after it has drawn the
// page, and a turned phone changes which of them scroll.
const article = document.querySelector("article");

const scrolling = new ResizeObserver((seen) => {
  for (const { target: box } of seen) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
});
const observe = () => article.querySelectorAll(".md-typeset__scrollwrap").forEach((box) => scrolling.observe(box));

if (article) {
  new MutationObserver(observe).observe(article, { childList: true, subtree: true });
  observe();
}
