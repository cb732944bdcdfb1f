// The npm package `openai` against a running `lion serve`; tests/serve/test_clients.py installs and starts both.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: `${process.env.LION_URL}/v1`, apiKey: "none", maxRetries: 0 });
const url = `data:image/png;base64,${readFileSync(process.env.LION_IMAGE).toString("base64")}`;
const wanted = JSON.parse(process.env.LION_WANTED); // what the pipeline answers

function asked(text, ...turns) {
  const picture = { type: "image_url", image_url: { url } };
  return [{ role: "user", content: [{ type: "text", text }, picture] }, ...turns];
}

function ask(text, settings = {}) {
  return client.chat.completions.create({ model: "lion-mini", messages: asked(text), ...settings });
}

test("a caption", async () => {
  const answer = await ask("Describe this picture.");
  assert.equal(answer.choices[0].message.content, wanted.caption);
  assert.equal(answer.choices[0].lion.task, "caption");
  assert.equal(answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens);
});

test("a dialog", async () => {
  const first = (await ask("is there a kite?")).choices[0].message;
  const messages = asked("is there a kite?", first, { role: "user", content: "what color is it?" });
  const answer = await client.chat.completions.create({ model: "lion-mini", messages });
  assert.equal(answer.choices[0].message.content, wanted.dialog);
});

test("a streamed answer", async () => {
  const settings = { stream: true, temperature: 0, stream_options: { include_usage: true } };
  let text = "", pieces = 0, usage = null;
  for await (const chunk of await ask("Describe this picture.", settings)) {
    const piece = chunk.choices[0]?.delta.content ?? "";
    text += piece;
    pieces += piece !== "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, wanted.streamed);
  assert.ok(pieces > 5 && usage.completion_tokens > 5);
});

test("the helper for streams puts the pieces together", async () => {
  const messages = asked("Describe this picture.");
  const runner = client.chat.completions.stream({ model: "lion-mini", messages, temperature: 0 });
  assert.equal((await runner.finalMessage()).content, wanted.streamed);
});

test("three answers, with likelihoods", async () => {
  const settings = { n: 3, temperature: 1, seed: 1, logprobs: true, top_logprobs: 2 };
  const { choices } = await ask("what color is it?", settings);
  assert.equal(choices.length, 3);
  for (const { message, logprobs } of choices) {
    assert.equal(Buffer.from(logprobs.content.flatMap((one) => one.bytes)).toString(), message.content);
    assert.ok(logprobs.content.every((one) => one.logprob <= 0 && one.top_logprobs.length === 2));
  }
});

test("boxes of a schema", async () => {
  const bbox = { type: "array", items: { type: "integer" }, minItems: 4, maxItems: 4 };
  const properties = { label: { type: "string" }, bbox, score: { type: "number" } };
  const schema = { type: "object", properties, required: ["label", "bbox", "score"], additionalProperties: false };
  const answer = await client.chat.completions.parse({
    model: "lion-mini",
    messages: asked("the kite"),
    response_format: { type: "json_schema", json_schema: { name: "found", strict: true, schema } },
  });
  const { message, lion } = answer.choices[0];
  assert.deepEqual(JSON.parse(message.content), { ...wanted.box, score: lion.boxes[0].score });
});

test("mistakes are the client's errors", async () => {
  const tools = [{ type: "function", function: { name: "x", parameters: {} } }];
  await assert.rejects(ask("?", { tools }), (error) => error instanceof OpenAI.BadRequestError && /tools/.test(error.message));
  await assert.rejects(ask("?", { model: "gpt" }), OpenAI.NotFoundError);
  const models = await client.models.list();
  assert.deepEqual(models.data.map((model) => model.id), ["lion-mini"]);
});
