#include <algorithm>
#include <chrono>

#include "generation.h"
#include "native_error.h"

namespace {

// Ascending from 0 to `end`.
void RequireCuts(const std::vector<int32_t>& cuts, size_t end) {
  const bool holds = !cuts.empty() && cuts.front() == 0 && cuts.back() == static_cast<int32_t>(end) &&
                     std::is_sorted(cuts.begin(), cuts.end());
  if (!holds) throw NativeError("BAD_ARGUMENT", "Lengths of the opening's arrays disagree");
}

}  // namespace

GenerationOpening MakeOpening(const std::vector<int32_t>& slots, const std::vector<int32_t>& offsets,
                              const std::vector<int32_t>& tokens, const std::vector<int32_t>& batches) {
  RequireCuts(offsets, tokens.size());
  RequireCuts(batches, slots.size());
  if (offsets.size() != slots.size() + 1) throw NativeError("BAD_ARGUMENT", "Each slot of the opening needs a prompt");
  GenerationOpening opening;
  for (size_t batch = 0; batch + 1 < batches.size(); ++batch) {
    const int32_t from = batches[batch];
    const int32_t to = batches[batch + 1];
    const int32_t first = offsets[static_cast<size_t>(from)];
    GenerationStep step;
    step.slots.assign(slots.begin() + from, slots.begin() + to);
    step.drafts.assign(step.slots.size(), 0);
    for (int32_t prompt = from; prompt <= to; ++prompt) {
      step.offsets.push_back(offsets[static_cast<size_t>(prompt)] - first);
    }
    step.tokens.assign(tokens.begin() + first, tokens.begin() + offsets[static_cast<size_t>(to)]);
    opening.batches.push_back(std::move(step));
  }
  return opening;
}

void Generation::SetOpening(GenerationOpening opening) {
  if (!shape_.resumes) throw NativeError("BAD_ARGUMENT", "The context was not made for openings");
  ClearAll();
  intact_ = false;
  size_t cells = 0;
  std::vector<int32_t> slots;
  for (const GenerationStep& step : opening.batches) {
    Check(step);
    cells += step.tokens.size();
    slots.insert(slots.end(), step.slots.begin(), step.slots.end());
  }
  std::sort(slots.begin(), slots.end());
  if (std::adjacent_find(slots.begin(), slots.end()) != slots.end()) {
    throw NativeError("BAD_ARGUMENT", "A slot of the opening is there twice");
  }
  if (cells > static_cast<size_t>(shape_.context_tokens)) {
    throw NativeError("BAD_ARGUMENT", "The prompts do not fit into the context");
  }
  opening_ = std::move(opening);
  replays_.clear();
  for (size_t i = 0; i < opening_.batches.size(); ++i) {
    replays_.push_back(std::make_unique<GraphReplay>(llama_model_n_layer(model_.get()), hooks_.edits));
  }
}

bool Generation::Opens(int32_t slot) const {
  return std::any_of(opening_.batches.begin(), opening_.batches.end(), [slot](const GenerationStep& step) {
    return std::find(step.slots.begin(), step.slots.end(), slot) != step.slots.end();
  });
}

void Generation::Copy(int32_t from, int32_t to) {
  Clear(to);
  llama_memory_seq_cp(llama_get_memory(context_.get()), from, to, -1, -1);
  lengths_[static_cast<size_t>(to)] = shared_[static_cast<size_t>(to)] = lengths_[static_cast<size_t>(from)];
}

// Every graph is recorded with the batches before it in memory, as it will run.
void Generation::RecordOpening(const std::string& structure) {
  const bool known =
      std::all_of(replays_.begin(), replays_.end(), [&](const auto& replay) { return replay->HasRecord(structure); });
  if (known) return;
  ClearAll();
  for (size_t i = 0; i < replays_.size(); ++i) {
    replay_ = replays_[i].get();
    replay_->BeginRecord();
    Decode(opening_.batches[i]);
    replay_->EndRecord(structure);
  }
}

std::vector<size_t> Generation::Usable(const std::string& structure, const std::vector<size_t>& layers) const {
  // Cells that a sliding window has left behind are given to others while the sequence is still there.
  if (llama_model_n_swa(model_.get()) > 0) return {};
  std::vector<std::vector<std::string>> borders;
  for (const auto& replay : replays_) borders.push_back(replay->Borders(structure));
  std::vector<size_t> usable;
  std::copy_if(layers.begin(), layers.end(), std::back_inserter(usable), [&](size_t layer) {
    return std::all_of(borders.begin(), borders.end(), [&](const auto& crossing) { return !crossing[layer].empty(); });
  });
  return usable;
}

GenerationResult Generation::Open(size_t resume_at, const std::vector<size_t>& keep_at, const JobState& job) {
  const auto start = std::chrono::steady_clock::now();
  if (opening_.batches.empty()) throw NativeError("BAD_ARGUMENT", "There are no prompts to open with");
  if (resume_at > 0 && !intact_) throw NativeError("BAD_ARGUMENT", "The opening before is no longer in memory");
  job_ = &job;
  GenerationResult result;
  try {
    const std::string structure = StructureOf(applied_.get(), strengths_, 0);
    RecordOpening(structure);
    const std::vector<size_t> kept = Usable(structure, keep_at);
    ClearAll();
    intact_ = false;
    for (size_t i = 0; i < replays_.size(); ++i) {
      replay_ = replays_[i].get();
      replay_->BeginRun(structure, resume_at, kept);
      Decode(opening_.batches[i]);
      replay_->EndRun();
      Choose(opening_.batches[i], result);
    }
    result.kept.assign(kept.begin(), kept.end());
  } catch (...) {
    ClearAll();
    intact_ = false;
    replay_ = nullptr;
    job_ = nullptr;
    throw;
  }
  replay_ = nullptr;
  job_ = nullptr;
  opened_ = intact_ = true;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return result;
}
