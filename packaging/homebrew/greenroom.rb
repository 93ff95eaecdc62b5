class Greenroom < Formula
  desc "@description@"
  homepage "@repository@"
  version "@version@"
  license any_of: ["MIT", "Apache-2.0"]
@platforms@

  def install
    bin.install "bin/greenroom"
    man1.install Dir["share/man/man1/*.1"]
    bash_completion.install "share/bash-completion/completions/greenroom"
    zsh_completion.install "share/zsh/site-functions/_greenroom"
    fish_completion.install "share/fish/vendor_completions.d/greenroom.fish"
    doc.install Dir["share/doc/greenroom/*"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/greenroom --version")
  end
end
