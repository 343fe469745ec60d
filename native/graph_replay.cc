#include "graph_replay.h"

#include <algorithm>
#include <chrono>

#include "ggml-backend.h"
#include "native_error.h"

namespace {

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

}  // namespace

bool GraphReplay::Evaluate(ggml_tensor* tensor, bool ask) noexcept {
  try {
    if (ask) return Ask(tensor);
    Done(tensor);
  } catch (const std::exception&) {
    // Exceptions must not cross llama.cpp's frames; EndRun reports the run as failed.
    mismatch_ = true;
  }
  return true;
}

void GraphReplay::Begin(Mode mode) {
  mode_ = mode;
  graph_ = 0;
  cursor_ = 0;
  mismatch_ = false;
  copy_seconds_ = 0;
  lens_ = false;
}

void GraphReplay::BeginPlain() { Begin(Mode::kPlain); }

void GraphReplay::BeginRecord() {
  Begin(Mode::kRecord);
  recording_.clear();
}

void GraphReplay::BeginRun(const std::string& structure, size_t resume_at, const std::vector<size_t>& keep_at) {
  Begin(Mode::kRun);
  const auto record = records_.find(structure);
  if (record == records_.end()) throw NativeError("INTERNAL", "The graph of this run was not recorded");
  run_ = &record->second;
  const auto usable = [this](size_t k) {
    return k < states_.size() &&
           std::all_of(run_->begin(), run_->end(), [k](const GraphRecord& graph) { return graph.borders()[k].usable; });
  };
  if (resume_at > 0 && !(usable(resume_at) && states_[resume_at].valid)) {
    throw NativeError("BAD_ARGUMENT", "No state is kept at layer " + std::to_string(resume_at));
  }
  for (size_t k = resume_at + 1; k < states_.size(); ++k) states_[k].valid = false;
  for (size_t k : keep_at) {
    if (k <= resume_at || !usable(k)) {
      throw NativeError("BAD_ARGUMENT", "No state can be kept at layer " + std::to_string(k));
    }
    states_[k].graphs.resize(run_->size());
    for (size_t graph = 0; graph < run_->size(); ++graph) {
      states_[k].graphs[graph].resize((*run_)[graph].borders()[k].crossing.size());
    }
  }
  resume_at_ = resume_at;
  keep_at_ = keep_at;
  PlanActions(run_->front(), 0);
}

void GraphReplay::BeginLens(const std::string& structure, size_t border, const std::vector<int32_t>& rows,
                            size_t tokens, size_t width) {
  const std::vector<size_t> usable = LensBorders(structure);
  if (std::find(usable.begin(), usable.end(), border) == usable.end() || !states_[border].valid) {
    throw NativeError("BAD_ARGUMENT", "No state to look at is kept at layer " + std::to_string(border));
  }
  Begin(Mode::kRun);
  run_ = &records_.at(structure);
  lens_ = true;
  lens_border_ = border;
  // Above every state: none is dropped, whatever becomes of this run.
  resume_at_ = states_.size();
  keep_at_.clear();
  const Slot& state = states_[border].graphs.front().front();
  const size_t row_bytes = width * sizeof(float);
  if (state.type != GGML_TYPE_F32 || state.bytes.size() != tokens * row_bytes) {
    throw NativeError("REPLAY_FAILED", "The state of a layer is not one row of numbers per token");
  }
  Slot gathered{state.type, std::vector<uint8_t>(rows.size() * row_bytes)};
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto from = state.bytes.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(rows[i]) * row_bytes);
    std::copy_n(from, row_bytes, gathered.bytes.begin() + static_cast<std::ptrdiff_t>(i * row_bytes));
  }
  lens_state_.assign(1, std::move(gathered));
  PlanActions(run_->front(), 0);
}

const LayerBorder& GraphReplay::Cut(const GraphRecord& record) const {
  return lens_ ? record.top() : record.borders()[resume_at_];
}

const std::vector<GraphReplay::Slot>& GraphReplay::Restored(size_t graph) const {
  return lens_ ? lens_state_ : states_[resume_at_].graphs[graph];
}

void GraphReplay::PlanActions(const GraphRecord& record, size_t graph) {
  actions_.assign(record.nodes().size(), Action());
  if (resume_at_ > 0) {
    const LayerBorder& border = Cut(record);
    if (border.crossing.size() != Restored(graph).size()) mismatch_ = true;
    for (size_t node = 0; node < border.first; ++node) actions_[node].skip = record.depends_on_tokens(node);
    for (size_t i = 0; i < border.crossing.size(); ++i) actions_[border.crossing[i]].restore = static_cast<int32_t>(i);
  }
  for (size_t k : keep_at_) {
    const LayerBorder& border = record.borders()[k];
    for (size_t i = 0; i < border.crossing.size(); ++i) actions_[border.crossing[i]].capture.emplace_back(k, i);
  }
}

void GraphReplay::EndRecord(const std::string& structure) {
  if (recording_.empty() || mismatch_) throw NativeError("REPLAY_FAILED", "llama.cpp's graph could not be recorded");
  for (GraphRecord& graph : recording_) graph.Finish(layers_);
  records_.insert_or_assign(structure, std::move(recording_));
  BeginPlain();
}

void GraphReplay::EndRun() {
  const bool complete = graph_ + 1 == run_->size() && cursor_ == actions_.size();
  const bool failed = mismatch_ || !complete;
  if (failed) {
    for (size_t k = resume_at_ + 1; k < states_.size(); ++k) states_[k].valid = false;
    mode_ = Mode::kPlain;
    throw NativeError("REPLAY_FAILED", "llama.cpp built another graph than the one that was recorded");
  }
  for (size_t k : keep_at_) states_[k].valid = true;
  mode_ = Mode::kPlain;
}

std::vector<std::string> GraphReplay::Borders(const std::string& structure) const {
  std::vector<std::string> borders(static_cast<size_t>(layers_));
  const std::vector<GraphRecord>& graphs = records_.at(structure);
  for (size_t k = 1; k < borders.size(); ++k) {
    const bool usable =
        std::all_of(graphs.begin(), graphs.end(), [k](const GraphRecord& graph) { return graph.borders()[k].usable; });
    if (!usable) continue;
    for (size_t node : graphs.front().borders()[k].crossing) {
      borders[k] += (borders[k].empty() ? "" : ", ") + graphs.front().nodes()[node].name;
    }
  }
  return borders;
}

std::vector<size_t> GraphReplay::LensBorders(const std::string& structure) const {
  const std::vector<GraphRecord>& graphs = records_.at(structure);
  const GraphRecord& graph = graphs.front();
  std::vector<size_t> borders;
  if (graphs.size() != 1 || !graph.top().usable || graph.top().crossing.size() != 1) return borders;
  for (size_t k = 1; k < graph.borders().size(); ++k) {
    const LayerBorder& border = graph.borders()[k];
    if (border.usable && !border.returns && border.crossing.size() == 1) borders.push_back(k);
  }
  return borders;
}

bool GraphReplay::ReturnsBehind(size_t k) const {
  return std::any_of(records_.begin(), records_.end(), [k](const auto& record) {
    const std::vector<GraphRecord>& graphs = record.second;
    return std::any_of(graphs.begin(), graphs.end(),
                       [k](const GraphRecord& graph) { return graph.borders()[k].returns; });
  });
}

void GraphReplay::Reset() {
  records_.clear();
  for (BorderState& state : states_) state.valid = false;
  BeginPlain();
}

size_t GraphReplay::kept_bytes() const {
  size_t bytes = 0;
  for (const BorderState& state : states_) {
    for (const auto& graph : state.graphs) {
      for (const Slot& slot : graph) bytes += slot.bytes.capacity();
    }
  }
  return bytes;
}

bool GraphReplay::Ask(ggml_tensor* tensor) {
  switch (mode_) {
    case Mode::kPlain:
      return false;
    case Mode::kSkip:
      edits_.Skip(tensor);
      return false;
    case Mode::kRecord:
      // No graph asks about a node twice, and a graph built anew lies in the same memory, so its first node was seen.
      if (recording_.empty() || recording_.back().Has(tensor)) recording_.emplace_back();
      recording_.back().Add(tensor);
      edits_.Skip(tensor);
      return false;
    case Mode::kRun:
      break;
  }
  if (cursor_ == actions_.size() && graph_ + 1 < run_->size()) {
    graph_ += 1;
    cursor_ = 0;
    PlanActions((*run_)[graph_], graph_);
  }
  if (mismatch_ || cursor_ >= actions_.size()) {
    mismatch_ = true;
    return false;
  }
  const GraphNode& expected = (*run_)[graph_].nodes()[cursor_];
  if (tensor->op != expected.op || expected.name != tensor->name) {
    mismatch_ = true;
    return false;
  }
  const Action& action = actions_[cursor_++];
  if (action.skip) edits_.Skip(tensor);
  return action.restore >= 0 || !action.capture.empty();
}

void GraphReplay::Done(ggml_tensor* tensor) {
  if (mode_ != Mode::kRun || mismatch_) return;
  const double start = Now();
  const Action& action = actions_[cursor_ - 1];
  // Backends copy through the tensor that owns the memory; a view of it may not be contiguous.
  auto* root = const_cast<ggml_tensor*>(Root(tensor));
  const size_t bytes = ggml_nbytes(root);
  if (action.restore >= 0) {
    const auto index = static_cast<size_t>(action.restore);
    // Few architectures leave the rows that are not scored only above the last layer.
    const bool whole = lens_ && lens_state_[index].bytes.size() != bytes;
    const Slot& slot = whole ? states_[lens_border_].graphs[graph_][index] : Restored(graph_)[index];
    if (slot.bytes.size() != bytes || slot.type != root->type) {
      mismatch_ = true;
      return;
    }
    ggml_backend_tensor_set(root, slot.bytes.data(), 0, bytes);
  }
  for (const auto& [border, crossing] : action.capture) {
    Slot& slot = states_[border].graphs[graph_][crossing];
    slot.type = root->type;
    slot.bytes.resize(bytes);
    ggml_backend_tensor_get(root, slot.bytes.data(), 0, bytes);
  }
  copy_seconds_ += Now() - start;
}
