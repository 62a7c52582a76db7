/*
  What the pages gain when a browser runs scripts; without it every form and link still works.

  `/` focuses the search field, Escape and a click outside close menus, [data-copy] copies,
  a fragment loaded into #dialog opens it, a problem's place moves the cursor of the editor,
  and [data-live] listens to a run's events (see the end).
*/
(() => {
  "use strict";
  document.documentElement.classList.add("js");
  const one = (selector, root = document) => root.querySelector(selector);

  const isTyping = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;

  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.altKey && !isTyping(event.target)) {
      const field = one("input[data-search]");
      if (field) {
        event.preventDefault();
        field.focus();
        field.select();
      }
    }
    if (event.key === "Escape") {
      for (const menu of document.querySelectorAll("details.menu[open]")) {
        menu.open = false;
        one("summary", menu).focus();
      }
    }
  });

  document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const copy = event.target.closest("[data-copy]");
    if (copy) copyText(copy);
    const place = event.target.closest("[data-place]");
    if (place && moveCursor(place.dataset.place)) event.preventDefault();
    if (event.target.closest("[data-close]")) {
      const dialog = event.target.closest("dialog");
      if (dialog) {
        event.preventDefault();
        dialog.close();
      }
    }
  });

  async function copyText(button) {
    const said = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = button.dataset.copied || "Copied";
    } catch {
      const range = document.createRange();
      range.selectNodeContents(one("code", button.parentElement) || button.parentElement);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
    }
    setTimeout(() => { button.textContent = said; }, 1600);
  }

  function moveCursor(place) {
    const editor = one("textarea[data-editor]");
    if (!editor) return false;
    const [line, column] = place.split(":").map(Number);
    const before = editor.value.split("\n").slice(0, line - 1);
    const at = before.reduce((sum, text) => sum + text.length + 1, 0) + Math.max(0, (column || 1) - 1);
    editor.focus();
    editor.setSelectionRange(at, at + 1);
    editor.scrollTop = (line - 4) * parseFloat(getComputedStyle(editor).lineHeight);
    return true;
  }

  /* Where the tabs are wider than the page, the current one is in sight. */
  const showCurrentTabs = () => {
    for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
      const bar = tab.closest(".tabs");
      bar.scrollLeft = tab.offsetLeft - bar.offsetLeft - (bar.clientWidth - tab.offsetWidth) / 2;
    }
  };
  showCurrentTabs();
  addEventListener("resize", showCurrentTabs);

  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id === "dialog" && !event.target.open) event.target.showModal();
  });

  /* A choice that only changes the view is sent at once; its button is there for browsers without scripts. */
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submit]")) event.target.form.requestSubmit();
  });

  /* A chosen file is read into the editor, so that it is checked like typed text. */
  document.addEventListener("change", async (event) => {
    const input = event.target.closest("input[type=file][data-into]");
    if (!input || !input.files.length) return;
    const editor = document.getElementById(input.dataset.into);
    editor.value = await input.files[0].text();
    const name = one("input[name=filename]", input.form);
    if (name) name.value = input.files[0].name;
    input.value = "";
    editor.dispatchEvent(new Event("input", { bubbles: true }));
  });

  /*
    A live region names its stream in data-live and asks htmx to draw its parts anew on the event
    "live" of the body. Each event of the stream asks for that, at most once per 400 ms; where the
    stream is refused (too many are open) the page asks every three seconds instead. A part that
    says data-ended closes the stream: nothing more will happen.
  */
  const KINDS = ["message", "event", "reply", "track", "rule", "decision", "status"];
  for (const region of document.querySelectorAll("[data-live]")) {
    const source = new EventSource(region.dataset.live);
    let asked = 0;
    let polling = 0;
    const refresh = () => {
      if (asked) return;
      asked = setTimeout(() => {
        asked = 0;
        document.body.dispatchEvent(new CustomEvent("live"));
      }, 400);
    };
    const stop = () => {
      source.close();
      clearInterval(polling);
    };
    for (const kind of KINDS) source.addEventListener(kind, refresh);
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED && !polling) polling = setInterval(refresh, 3000);
    });
    document.addEventListener("htmx:afterRequest", (event) => {
      if (event.target !== region) return;
      if (one("[data-ended]", region)) stop();
      const lit = one(".code .lit", region);
      if (lit) lit.closest(".code").scrollTop = lit.offsetTop - lit.closest(".code").offsetTop - 160;
    });
    addEventListener("pagehide", stop);
  }
})();
