// The page: a picture, a question, an answer. It asks the routes of the server that serves it.

import { Problem, call, keep } from "./api.js";
import * as stage from "./stage.js";
import { explain } from "./why.js";

const $ = (id) => document.getElementById(id);

const VERBS = {
  caption: { go: "Describe", hint: "A sentence about the whole picture." },
  ask: { go: "Ask", label: "Question", hint: "A question about the picture.", text: "question" },
  locate: { go: "Locate", label: "Phrase", hint: "Words for one thing: its box comes back.", text: "phrase" },
  describe: { go: "Describe", hint: "Draw a box with the mouse or a finger, or focus it and use the arrow keys; Shift with them changes its size." },
  chat: { go: "Send", label: "Message", hint: "Questions that build on each other.", text: "question" },
};

const now = {
  image: null, // a data: URL
  found: [], // the tagger's tags
  tags: [], // {word, on}
  asked: null, // the last request: {verb, body, words}
  said: null, // its answer's text
  rounds: [], // of the dialog: {question, answer}
  work: null, // AbortController of what is going on
  sheet: 0, // of the gallery
  about: null, // what to know about the model
};

const verb = () => document.querySelector("input[name=verb]:checked").value;
const chosen = () => now.tags.filter((tag) => tag.on).map((tag) => tag.word);
const changed = () => chosen().join("\n") !== now.found.join("\n");

// Work, its progress and its failures

/** Do something that takes time: one thing at a time, with words while it lasts and where it fails. */
async function busy(words, work) {
  now.work?.abort();
  const own = (now.work = new AbortController());
  const began = performance.now();
  const tick = () => {
    const seconds = Math.floor((performance.now() - began) / 1000);
    $("status-text").textContent = seconds < 2 ? `${words} …` : `${words} … ${seconds} s`;
  };
  tick();
  const timer = setInterval(tick, 500);
  $("status").hidden = false;
  $("problem").hidden = true;
  document.body.classList.add("busy");
  try {
    return await work(own.signal);
  } catch (error) {
    if (error.name !== "AbortError") fail(error, () => busy(words, work));
  } finally {
    clearInterval(timer);
    if (now.work === own) {
      now.work = null;
      $("status").hidden = true;
      document.body.classList.remove("busy");
    }
  }
}

function fail(error, again) {
  if (!(error instanceof Problem)) console.error(error);
  if (error.status === 401) return askForKey(again);
  const wait = error.wait ? ` Worth another try in ${error.wait} s.` : "";
  $("problem-text").textContent = (error instanceof Problem ? error.message : "The page failed. Reload it.") + wait;
  $("retry").hidden = ![0, 408, 429, 503, 504].includes(error.status) || !(error instanceof Problem);
  $("retry").onclick = again;
  $("problem").hidden = false;
}

function askForKey(again) {
  $("key-dialog").showModal();
  $("key-form").onsubmit = () => {
    keep($("key").value.trim());
    $("key").value = "";
    again();
  };
}

// Pictures

async function picture(url) {
  try {
    await stage.show(url).catch(async () => {
      const { image } = await call("page/preview", { image: url }); // such as TIFF: the server shows what it reads
      await stage.show(image);
    });
  } catch (error) {
    return fail(error, () => picture(url));
  }
  Object.assign(now, { image: url, found: [], tags: [], asked: null, said: null, rounds: [] });
  clear();
  $("problem").hidden = true;
  showRounds();
  showTags();
  showVerb();
  await busy("Looking", async (signal) => {
    const { answers } = await call("v1/lion/tag", { image: url }, signal).catch((error) => {
      if (/has no tagger/.test(error.message)) return { answers: [{ tags: [] }] };
      throw error;
    });
    now.found = answers[0].tags;
    now.tags = now.found.map((word) => ({ word, on: true }));
    showTags();
    showVerb();
  });
}

function file(blob) {
  if (!blob) return;
  const reader = new FileReader();
  reader.onload = () => picture(reader.result);
  reader.onerror = () => fail(new Problem("The file cannot be read.", 400));
  reader.readAsDataURL(blob);
}

async function gallery() {
  const { scenes, model, about } = await call(`page/scenes/${now.sheet}`);
  now.about = about;
  $("model").textContent = about ?? model;
  $("gallery").replaceChildren(
    ...scenes.map(({ image, name }) => {
      const button = document.createElement("button");
      button.type = "button";
      button.title = button.ariaLabel = name;
      const small = new Image();
      small.src = image;
      small.alt = "";
      button.append(small);
      button.onclick = () => picture(image);
      return button;
    }),
  );
  return scenes;
}

async function camera() {
  const dialog = $("camera-dialog");
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const none = !navigator.mediaDevices || error.name === "NotFoundError";
    return fail(new Problem(none ? "There is no camera that this page may use." : "The camera was not allowed.", 400));
  }
  $("video").srcObject = stream;
  dialog.showModal();
  dialog.onclose = () => stream.getTracks().forEach((track) => track.stop());
  $("close").onclick = () => dialog.close();
  $("shoot").onclick = () => {
    const shot = document.createElement("canvas");
    [shot.width, shot.height] = [$("video").videoWidth, $("video").videoHeight];
    shot.getContext("2d").drawImage($("video"), 0, 0);
    dialog.close();
    picture(shot.toDataURL("image/jpeg", 0.92));
  };
}

// Questions and answers

function showVerb() {
  const { go, label, hint, text } = VERBS[verb()];
  $("go").textContent = go;
  $("hint").textContent = hint;
  $("text").hidden = !text;
  $("text-label").textContent = label ?? "";
  $("there").hidden = verb() !== "locate";
  $("dialog").hidden = verb() !== "chat" || !now.rounds.length;
  $("again").hidden = !now.asked || verb() === "chat";
  stage.drawing(verb() === "describe" && now.image !== null);
  const ideas = suggestions(chosen());
  $("text").placeholder = ideas[0] ?? "";
  $("ideas").replaceChildren(
    ...ideas.map((idea) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "plain";
      button.textContent = idea;
      button.onclick = () => {
        $("text").value = idea;
        submit();
      };
      return button;
    }),
  );
}

/** Something to ask, made of the tags. */
function suggestions([first, second = first]) {
  if (!first || !VERBS[verb()].text) return [];
  const there = `is there ${/^[aeiou]/.test(first) ? "an" : "a"} ${first}?`;
  if (verb() === "locate") return [...new Set([`the ${second}`, `the ${first}`])];
  return verb() === "chat" ? [there, "what color is it?"] : [`what color is the ${second}?`, there];
}

function percent(share) {
  return share > 0.995 ? "over 99 %" : `${Math.round(100 * share)} %`;
}

function submit() {
  const { text } = VERBS[verb()];
  const words = $("text").value.trim();
  if (!now.image) return fail(new Problem("Choose a picture first.", 400));
  if (text && !words) {
    $("text").focus();
    return fail(new Problem(`Write a ${text} first.`, 400));
  }
  if (verb() === "chat") return chat(words);
  const body = { image: now.image };
  if (text) body[text] = words;
  if (verb() === "describe") body.box = stage.drawn();
  return ask({ verb: verb(), body, words: { caption: "Caption", describe: "In the box" }[verb()] ?? words, ifThere: $("if-there").checked });
}

/** Take the last answer away, so that it cannot be taken for the next. */
function clear() {
  $("answer").hidden = $("why").hidden = true;
  stage.boxes([]);
}

/** Ask with the tags as they are now. */
async function ask(asked) {
  const body = changed() ? { ...asked.body, tags: chosen() } : asked.body;
  clear();
  await busy("Thinking", async (signal) => {
    const further = asked.verb === "locate" ? { if_there: asked.ifThere } : {};
    const { answers } = await call(`v1/lion/${asked.verb}`, { ...body, ...further }, signal);
    const again = now.asked && JSON.stringify(now.asked.body) === JSON.stringify(asked.body) && now.asked.verb === asked.verb;
    show(answers[0], asked, again ? now.said : null);
    Object.assign(now, { asked, said: answers[0].text || answers[0].reason });
    $("why-button").onclick = () => why(body);
  });
}

function show(answer, asked, before) {
  $("asked").textContent = asked.words;
  const where = answer.ok && asked.verb === "locate";
  $("said").textContent = where ? "Here it is." : answer.text && answer.ok ? answer.text : { "not there": "It is not there." }[answer.reason] ?? `No answer: ${answer.reason}.`;
  $("before").textContent = before !== null && before !== (answer.text || answer.reason) ? `With the tags before: ${before}` : "";
  $("notes").textContent = (answer.note ?? "").replace(now.about ?? "", "").replace(/; $/, "");
  const remarks = [];
  if (answer.presence != null) remarks.push(`It finds it ${percent(answer.presence)} probable that it is there.`);
  const score = where && answer.boxes[0]?.score;
  if (score) remarks.push(`It expects the box to overlap it by ${percent(score)}.`);
  if (!where && answer.confidence != null) remarks.push(`The model is ${percent(answer.confidence)} sure of these words.`);
  $("confidence").textContent = remarks.join(" ");
  stage.boxes(answer.boxes);
  $("answer").hidden = false;
  $("why-button").setAttribute("aria-expanded", "false");
  $("changed").hidden = true;
}

async function why(body) {
  if (!$("why").hidden) {
    $("why").hidden = true;
    return $("why-button").setAttribute("aria-expanded", "false");
  }
  await busy("Looking once more", async (signal) => {
    const { answers } = await call("v1/lion/explain", body, signal);
    explain(answers[0].explanation, $("picture"));
    $("why").hidden = false;
    $("why-button").setAttribute("aria-expanded", "true");
  });
}

async function chat(words) {
  clear();
  const picture = { type: "image_url", image_url: { url: now.image } };
  const turns = [...now.rounds, { question: words }].flatMap(({ question, answer }, number) => [
    { role: "user", content: number ? question : [{ type: "text", text: question }, picture] },
    ...(answer === undefined ? [] : [{ role: "assistant", content: answer }]),
  ]);
  await busy("Thinking", async (signal) => {
    const lion = { task: "chat", ...(changed() ? { tags: chosen() } : {}) };
    const { choices } = await call("v1/chat/completions", { messages: turns, lion }, signal);
    now.rounds.push({ question: words, answer: choices[0].message.content });
    $("text").value = "";
    showRounds();
  });
  $("text").focus();
}

function showRounds() {
  $("dialog").replaceChildren(
    ...now.rounds.flatMap(({ question, answer }) =>
      [["user", question], ["lion", answer]].map(([who, words]) => {
        const line = document.createElement("p");
        line.className = who;
        line.textContent = words;
        return line;
      }),
    ),
  );
  $("dialog").hidden = verb() !== "chat" || !now.rounds.length;
  $("dialog").scrollTop = $("dialog").scrollHeight;
}

// Tags

function showTags() {
  $("chips").replaceChildren(
    ...now.tags.map((tag) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.className = "chip";
      chip.textContent = tag.word;
      chip.ariaPressed = tag.on;
      chip.title = tag.on ? "Leave it out" : "Give it to the model";
      chip.onclick = () => {
        tag.on = !tag.on;
        showTags();
        [...$("chips").children][now.tags.indexOf(tag)].focus();
      };
      return chip;
    }),
  );
  if (!now.tags.length) $("chips").textContent = "none";
  $("changed").hidden = !changed();
  $("again").hidden = !now.asked || verb() === "chat";
}

function addTag() {
  const words = $("tag").value.split(",").map((word) => word.trim()).filter(Boolean);
  for (const word of words) {
    const known = now.tags.find((tag) => tag.word === word);
    if (known) known.on = true;
    else now.tags.push({ word, on: true });
  }
  $("tag").value = "";
  showTags();
}

// What people do

$("form").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
$("adding").addEventListener("submit", (event) => {
  event.preventDefault();
  addTag();
});
document.querySelectorAll("input[name=verb]").forEach((input) => input.addEventListener("change", showVerb));
$("region").addEventListener("keydown", (event) => event.key === "Enter" && submit());
$("again").onclick = () => ask(now.asked);
$("reset").onclick = () => {
  now.tags = now.found.map((word) => ({ word, on: true }));
  showTags();
};
$("cancel").onclick = () => now.work?.abort();
$("camera").onclick = camera;
$("more").onclick = () => {
  now.sheet += 1;
  gallery().catch((error) => fail(error, () => gallery()));
};
$("file").onchange = () => {
  file($("file").files[0]);
  $("file").value = "";
};
document.addEventListener("paste", (event) => {
  const item = [...(event.clipboardData?.items ?? [])].find((one) => one.type.startsWith("image/"));
  if (item) file(item.getAsFile());
});
for (const name of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", name === "dragover");
    if (name === "drop") file(event.dataTransfer.files[0]);
  });
}

async function start() {
  try {
    const [first] = await gallery();
    await picture(first.image);
  } catch (error) {
    fail(error, start);
  }
}

showVerb();
showTags();
start();
