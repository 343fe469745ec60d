#include "scoring_run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <system_error>
#include <thread>
#include <utility>

#include "log_lines.h"
#include "native_error.h"
#include "token_loss.h"

namespace {

// A run that resumes at layer k needs the parts from that layer on. Leaving out the others gives all runs above a cut
// the same graph.
size_t FirstPart(const ScorerState& state, const RunRequest& request) {
  const size_t layer = request.resume_at;
  return layer == 0 || state.replay.ReturnsBehind(layer) ? 0 : request.adapter->FirstOf(layer);
}

void ApplyAdapter(ScorerState& state, const RunRequest& request) {
  if (request.adapter) {
    request.adapter->Apply(state.context.get(), request.strengths, FirstPart(state, request));
  } else if (llama_set_adapters_lora(state.context.get(), nullptr, 0, nullptr) != 0) {
    throw NativeError("DECODE", "llama.cpp refused to leave out the adapter");
  }
  state.applied = request.adapter;
}

std::string StructureOf(const ScorerState& state, const RunRequest& request) {
  return StructureOf(request.adapter.get(), request.strengths, request.adapter ? FirstPart(state, request) : 0);
}

void Decode(ScorerState& state, Logits logits = Logits::kNone) {
  if (state.graph_loss) state.graph_loss->Begin(*state.batch, logits != Logits::kNone);
  llama_memory_clear(llama_get_memory(state.context.get()), /*data=*/false);
  log_lines::Collector log;
  const int32_t status = llama_decode(state.context.get(), state.batch->View());
  llama_synchronize(state.context.get());
  if (state.job.load()->aborted) throw NativeError("CANCELLED", "Cancelled.");
  if (status == 0) return;
  if (status == -2)
    throw NativeError("OUT_OF_MEMORY", log.Explain("llama.cpp could not allocate memory for the batch"));
  throw NativeError("DECODE",
                    log.Explain("llama.cpp could not compute the batch (status " + std::to_string(status) + ")"));
}

void RecordIfNew(ScorerState& state, const std::string& structure) {
  if (state.replay.HasRecord(structure)) return;
  state.replay.BeginRecord();
  Decode(state);
  state.replay.EndRecord(structure);
}

// Calls `work` for every row. Rows are independent, so threads change nothing in the result.
template <typename Work>
void ForEachRow(const ScorerState& state, const Work& work) {
  const auto rows = static_cast<size_t>(state.batch->rows());
  const size_t threads = std::min<size_t>(static_cast<size_t>(state.shape.threads), rows);
  const auto stripe = [&](size_t thread) {
    for (size_t row = thread; row < rows; row += threads) work(row);
  };
  std::vector<std::thread> helpers;
  helpers.reserve(threads);
  size_t started = 1;
  try {
    for (; started < threads; ++started) helpers.emplace_back(stripe, started);
  } catch (const std::system_error&) {
    // The system has no thread left: this one does the rest. Threads that run must be joined, whatever happens.
  }
  for (size_t thread = started; thread < threads; ++thread) stripe(thread);
  stripe(0);
  for (std::thread& helper : helpers) helper.join();
}

std::vector<TokenScore> ScoreRows(const ScorerState& state, const float* logits, size_t vocabulary) {
  const std::vector<int32_t>& targets = state.batch->targets();
  std::vector<TokenScore> scores(targets.size());
  ForEachRow(state, [&](size_t row) { scores[row] = ScoreToken(logits + row * vocabulary, vocabulary, targets[row]); });
  return scores;
}

// The same, as the device computed it.
std::vector<TokenScore> ScoresOf(const GraphLoss& loss, const std::vector<int32_t>& targets) {
  std::vector<TokenScore> scores(targets.size());
  for (size_t row = 0; row < scores.size(); ++row) {
    scores[row] = {static_cast<double>(loss.losses()[row]), loss.best()[row] == targets[row]};
  }
  return scores;
}

void AddUp(const PackedBatch& batch, const std::vector<TokenScore>& scores, RunResult& result) {
  result.sums.assign(static_cast<size_t>(batch.samples()), 0.0);
  result.correct.assign(result.sums.size(), 0);
  for (size_t row = 0; row < scores.size(); ++row) {
    const auto sample = static_cast<size_t>(batch.sample_of_row()[row]);
    result.sums[sample] += scores[row].loss;
    result.correct[sample] += scores[row].correct ? 1 : 0;
  }
}

void RequireKept(const std::vector<float>& reference, size_t count) {
  if (reference.size() != count) throw NativeError("BAD_ARGUMENT", "No logits of this batch were kept to compare with");
}

// In place of the loss: how far each row's distribution is from that of the kept run.
void MeasureDivergences(const ScorerState& state, const float* logits, size_t vocabulary,
                        std::vector<TokenScore>& scores) {
  RequireKept(state.reference, scores.size() * vocabulary);
  const float* reference = state.reference.data();
  ForEachRow(state, [&](size_t row) {
    scores[row].loss = TokenDivergence(reference + row * vocabulary, logits + row * vocabulary, vocabulary);
  });
}

// What the last decode gave.
struct ScoredRows {
  std::vector<TokenScore> scores;  // [rows]
  const float* logits;             // [rows, vocabulary]; with the loss in the graph only where they were to be kept
  size_t vocabulary;
};

ScoredRows ScoreBatch(const ScorerState& state) {
  ScoredRows scored{};
  scored.vocabulary = static_cast<size_t>(llama_vocab_n_tokens(llama_model_get_vocab(state.model.get())));
  if (state.graph_loss) {
    state.graph_loss->Finish();
    scored.scores = ScoresOf(*state.graph_loss, state.batch->targets());
    scored.logits = state.graph_loss->logits().data();
  } else {
    scored.logits = llama_get_logits(state.context.get());
    if (scored.logits == nullptr) throw NativeError("DECODE", "llama.cpp returned no logits");
    scored.scores = ScoreRows(state, scored.logits, scored.vocabulary);
  }
  return scored;
}

double MaxDifference(const std::vector<float>& reference, const float* logits, size_t count) {
  RequireKept(reference, count);
  double largest = 0;
  for (size_t i = 0; i < count; ++i) {
    const double difference = std::fabs(static_cast<double>(reference[i]) - static_cast<double>(logits[i]));
    // NaN must not pass as small.
    if (!(difference <= largest))
      largest = std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
  }
  return largest;
}

void AddLens(const ScorerState& state, size_t layer, LensResult& result) {
  const ScoredRows scored = ScoreBatch(state);
  const size_t start = result.nll.size();
  result.layers.push_back(static_cast<int32_t>(layer));
  for (std::vector<double>* sums : {&result.nll, &result.probability, &result.log_rank}) {
    sums->resize(start + static_cast<size_t>(state.batch->samples()));
  }
  const std::vector<int32_t>& targets = state.batch->targets();
  for (size_t row = 0; row < targets.size(); ++row) {
    const float* own = scored.logits + row * scored.vocabulary;
    const size_t at = start + static_cast<size_t>(state.batch->sample_of_row()[row]);
    result.nll[at] += scored.scores[row].loss;
    result.probability[at] += std::exp(-scored.scores[row].loss);
    result.log_rank[at] += std::log(static_cast<double>(TokenRank(own, scored.vocabulary, targets[row])));
  }
}

}  // namespace

ScorerState::ScorerState(ModelHandle base, const ScorerShape& asked)
    : model(std::move(base)),
      hooks(asked.threads, /*own_sums=*/false),
      replay(llama_model_n_layer(model.get()), hooks.edits),
      shape(asked) {
  log_lines::Collector log;
  llama_context_params parameters = ContextParameters(shape);
  parameters.cb_eval = [](ggml_tensor* node, bool ask, void* self) {
    return static_cast<ScorerState*>(self)->Evaluate(node, ask);
  };
  parameters.cb_eval_user_data = this;
  parameters.abort_callback = [](void* self) {
    const JobState* running = static_cast<ScorerState*>(self)->job;
    return running != nullptr && running->aborted.load();
  };
  parameters.abort_callback_data = this;
  if (shape.loss_in_graph) {
    graph_loss = std::make_unique<GraphLoss>(shape.max_sequences);
    parameters.samplers = graph_loss->configs().data();
    parameters.n_samplers = graph_loss->configs().size();
  }
  context.reset(llama_init_from_model(model.get(), parameters));
  if (context && graph_loss && !graph_loss->supported()) {
    context.reset();
    graph_loss.reset();
    parameters.samplers = nullptr;
    parameters.n_samplers = 0;
    context.reset(llama_init_from_model(model.get(), parameters));
  }
  if (!context) throw NativeError("CONTEXT", log.Explain("llama.cpp could not make a context"));
}

bool ScorerState::Evaluate(ggml_tensor* node, bool ask) {
  return hooks.Evaluate(
      node, ask, &replay, applied ? applied->sums.get() : nullptr, job,
      [this](const ggml_tensor* it) { return graph_loss && graph_loss->Wants(it); },
      [this](const ggml_tensor* it) { graph_loss->Read(it); });
}

RunResult Execute(ScorerState& state, const RunRequest& request) {
  const auto start = std::chrono::steady_clock::now();
  const std::string structure = StructureOf(state, request);
  const bool resumes = request.resume_at > 0 || !request.keep_at.empty();
  ApplyAdapter(state, request);
  if (resumes) {
    RecordIfNew(state, structure);
    state.replay.BeginRun(structure, request.resume_at, request.keep_at);
  } else {
    state.replay.BeginPlain();
  }
  Decode(state, request.logits);
  RunResult result;
  if (resumes) {
    state.replay.EndRun();
    result.copy_seconds = state.replay.copy_seconds();
  }
  ScoredRows scored = ScoreBatch(state);
  const auto& [scores, logits, vocabulary] = scored;
  if (request.logits == Logits::kDivergence) MeasureDivergences(state, logits, vocabulary, scored.scores);
  AddUp(*state.batch, scores, result);
  const size_t count = static_cast<size_t>(state.batch->rows()) * vocabulary;
  if (request.logits == Logits::kKeep) state.reference.assign(logits, logits + count);
  if (request.logits == Logits::kCompare) {
    result.max_difference = MaxDifference(state.reference, logits, count);
    state.reference = std::vector<float>();
  }
  result.kept_bytes = state.replay.kept_bytes();
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}

std::vector<std::string> FindBorders(ScorerState& state, const RunRequest& request) {
  const std::string structure = StructureOf(state, request);
  ApplyAdapter(state, request);
  RecordIfNew(state, structure);
  return state.replay.Borders(structure);
}

LensResult ExecuteLens(ScorerState& state, const RunRequest& request) {
  LensResult result;
  ApplyAdapter(state, request);
  const std::string structure = StructureOf(state, request);
  RecordIfNew(state, structure);
  const std::vector<size_t> borders = state.replay.LensBorders(structure);
  if (borders.empty()) return result;
  state.replay.BeginRun(structure, 0, borders);
  Decode(state, Logits::kKeep);
  state.replay.EndRun();
  LensResult last;
  AddLens(state, static_cast<size_t>(llama_model_n_layer(state.model.get())) - 1, last);
  const std::vector<int32_t> rows = state.batch->positions_of_rows();
  const auto width = static_cast<size_t>(llama_model_n_embd(state.model.get()));
  for (size_t border : borders) {
    state.replay.BeginLens(structure, border, rows, static_cast<size_t>(state.batch->tokens()), width);
    Decode(state, Logits::kKeep);
    state.replay.EndRun();
    // The border below layer k is the output of layer k - 1.
    AddLens(state, border - 1, result);
  }
  const auto append = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  append(result.layers, last.layers);
  append(result.nll, last.nll);
  append(result.probability, last.probability);
  append(result.log_rank, last.log_rank);
  return result;
}
